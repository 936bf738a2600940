import type { Contract } from "@weir/contract";
import type { CapturedRecord } from "../capture.ts";
import type { FilesSource } from "./declare.ts";
import { type FieldShape, fieldShapes } from "./field-shape.ts";
import type { RowRecords } from "./row-record.ts";
import { InvalidText, type TypedValue, typedText } from "./typed-value.ts";

/** Makes records of rows whose values have types. */
export class TypedRows {
  readonly #source: FilesSource;
  readonly #rows: RowRecords;
  readonly #shapes: ReadonlyMap<string, FieldShape>;
  readonly #fieldOf: ReadonlyMap<string, string>;

  constructor(source: FilesSource, contract: Contract, rows: RowRecords) {
    this.#source = source;
    this.#rows = rows;
    this.#shapes = fieldShapes(contract.schema);
    this.#fieldOf = new Map(Object.entries(source.columns).map(([field, column]) => [column, field]));
  }

  /** `raw` makes the bytes to keep should a text of the row be none. */
  record(
    number: number,
    columns: readonly (readonly [name: string, value: () => TypedValue])[],
    raw: () => Uint8Array,
  ): CapturedRecord {
    const members: string[] = [];
    const present = new Set<string>();
    try {
      for (const [column, read] of columns) {
        let name = this.#fieldOf.get(column) ?? column;
        while (present.has(name)) name += "_";
        const shape = this.#shapes.get(name);
        const value = read();
        // A missing value: null where the field may be null or must be there, else nothing.
        if (value === null && (shape === undefined || !shape.nullable) && shape?.required !== true) continue;
        present.add(name);
        members.push(`${JSON.stringify(name)}:${typedText(value, shape, this.#source.timezone)}`);
      }
    } catch (error) {
      if (!(error instanceof InvalidText)) throw error;
      return this.#rows.unreadable({
        number,
        code: "invalid_utf8",
        detail: "a text that is not UTF-8",
        bytes: raw(),
      });
    }
    return this.#rows.of(number, members, (name) => present.has(name));
  }
}
