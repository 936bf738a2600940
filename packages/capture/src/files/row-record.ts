import type { Contract } from "@weir/contract";
import type { CapturedRecord } from "../capture.ts";
import type { FilesSource } from "./declare.ts";

/** Bytes that are kept of a row that is larger than allowed. */
const keptBytes = 64 * 1024;

/** A row of a file, told by its number (its line in text formats), counted from 1. */
export interface UnreadableRow {
  readonly number: number;
  readonly code:
    | "invalid_row"
    | "invalid_json"
    | "invalid_utf8"
    | "not_an_object"
    | "duplicate_key"
    | "lone_surrogate"
    | "too_deep"
    | "too_large";
  readonly detail: string;
  readonly bytes: Uint8Array;
}

/**
 * Makes records of the rows of one file: members of the row, then its id, if that is its position, and where it is from. A member
 * that the row has itself stays.
 */
export class RowRecords {
  readonly contract: Contract;
  readonly #rowBytes: number;
  readonly #path: string;
  readonly #identity: string;
  /** Names of members to add, and undefined for those that are not. */
  readonly #id: string | undefined;
  readonly #name: string | undefined;
  readonly #row: string | undefined;
  readonly #unit: "line" | "row";

  /** `path` is relative to the source's directory; `identity` is that of the file's content (and path). */
  constructor(
    source: FilesSource,
    contract: Contract,
    file: { readonly path: string; readonly identity: string; readonly unit: "line" | "row" },
  ) {
    this.contract = contract;
    this.#rowBytes = source.rowBytes;
    this.#path = file.path;
    this.#identity = file.identity;
    this.#unit = file.unit;
    const { schema, id } = contract;
    const takes = (name: string | undefined): string | undefined =>
      name !== undefined &&
      schema.additionalProperties === false &&
      !Object.hasOwn(schema.properties ?? {}, name)
        ? undefined
        : name;
    this.#id = source.id === "position" ? id : undefined;
    this.#name = takes(source.file.name);
    this.#row = takes(source.file.row);
  }

  /** The record of a row given as members, JSON text each. `has` tells whether the row has a member. */
  of(number: number, members: readonly string[], has: (name: string) => boolean): CapturedRecord {
    const added = this.#added(number, has);
    const all = added.length === 0 ? members : [...members, ...added];
    const text = `{${all.join(",")}}`;
    if (text.length > this.#rowBytes && Buffer.byteLength(text) > this.#rowBytes)
      return this.tooLarge(number, Buffer.from(text));
    return { contract: this.contract.name, text, keys: all.length };
  }

  /** The record of a row that is a minified JSON object of `keys` members. */
  ofObject(number: number, object: string, keys: number, has: (name: string) => boolean): CapturedRecord {
    const added = this.#added(number, has);
    const text =
      added.length === 0 ? object : `${object.slice(0, -1)}${keys === 0 ? "" : ","}${added.join(",")}}`;
    return { contract: this.contract.name, text, keys: keys + added.length };
  }

  unreadable({ number, code, detail, bytes }: UnreadableRow): CapturedRecord {
    const where = `${this.#path}, ${this.#unit} ${number}`;
    return { contract: this.contract.name, error: code, detail: `${where}: ${detail}`, bytes };
  }

  tooLarge(number: number, bytes: Uint8Array, size = bytes.length): CapturedRecord {
    const detail = `${size} bytes, limit ${this.#rowBytes}${size > keptBytes ? `; the first ${keptBytes} are kept` : ""}`;
    return this.unreadable({ number, code: "too_large", detail, bytes: bytes.subarray(0, keptBytes) });
  }

  get rowBytes(): number {
    return this.#rowBytes;
  }

  #added(number: number, has: (name: string) => boolean): string[] {
    const added: string[] = [];
    const add = (name: string | undefined, value: string | number): void => {
      if (name !== undefined && !has(name)) added.push(`${JSON.stringify(name)}:${JSON.stringify(value)}`);
    };
    add(this.#id, `${this.#identity}-${number}`);
    add(this.#name, this.#path);
    add(this.#row, number);
    return added;
  }
}
