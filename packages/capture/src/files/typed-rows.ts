import type { Contract } from "@weir/contract";
import type { CapturedRecord } from "../capture.ts";
import type { FilesSource } from "./declare.ts";
import { type FieldShape, fieldShapes } from "./field-shape.ts";
import type { RowRecords } from "./row-record.ts";
import { InvalidText, type TypedValue, typedText } from "./typed-value.ts";

interface TypedColumn {
  readonly name: string;
  /** `"name":` */
  readonly prefix: string;
  readonly shape: FieldShape | undefined;
  /** A missing value is left out, as the field is optional and not nullable, or none at all. */
  readonly omitsNull: boolean;
}

/** Makes records of rows whose values have types. */
export class TypedRows {
  readonly #source: FilesSource;
  readonly #rows: RowRecords;
  readonly #columns: readonly TypedColumn[];

  constructor(source: FilesSource, contract: Contract, rows: RowRecords, names: readonly string[]) {
    this.#source = source;
    this.#rows = rows;
    const shapes = fieldShapes(contract.schema);
    const fieldOf = new Map(Object.entries(source.columns).map(([field, column]) => [column, field]));
    const taken = new Set<string>();
    this.#columns = names.map((column) => {
      let name = fieldOf.get(column) ?? column;
      while (taken.has(name)) name += "_";
      taken.add(name);
      const shape = shapes.get(name);
      const omitsNull = shape === undefined || (!shape.nullable && !shape.required);
      return { name, prefix: `${JSON.stringify(name)}:`, shape, omitsNull };
    });
  }

  /**
   * @param valueAt the value of a column by its place, from 0; may throw InvalidText
   * @param raw makes the bytes to keep should a text of the row be none
   */
  record(number: number, valueAt: (column: number) => TypedValue, raw: () => Uint8Array): CapturedRecord {
    const members: string[] = [];
    const present: string[] = [];
    try {
      for (const [i, { name, prefix, shape, omitsNull }] of this.#columns.entries()) {
        const value = valueAt(i);
        if (value === null && omitsNull) continue;
        present.push(name);
        members.push(prefix + typedText(value, shape, this.#source.timezone));
      }
    } catch (error) {
      if (!(error instanceof InvalidText)) throw error;
      const detail = "a text that is not UTF-8";
      return this.#rows.unreadable({ number, code: "invalid_utf8", detail, bytes: raw() });
    }
    return this.#rows.of(number, members, (name) => present.includes(name));
  }
}
