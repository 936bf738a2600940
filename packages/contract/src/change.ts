import { contract } from "./contract.ts";
import type { Contract } from "./contract.ts";
import { timestamp } from "./fields.ts";
import { Type } from "./fields.ts";
import type { Json, JsonObject } from "./json.ts";
import type { RowTags } from "./privacy.ts";

/** What happened to a row, or to all rows, of a stream. */
export const changeOps = ["snapshot", "insert", "update", "delete", "truncate", "schema"] as const;

/**
 * A row of a captured table, object or list, as a record. Sources that mirror rows write these, all under one
 * contract a source (see {@link changeContract}).
 */
export interface Change {
  /** Unique; the same change read again has the same id and the same content. */
  readonly id: string;
  /** When it happened at the source, RFC 3339. */
  readonly at: string;
  /** What the row is of: `public.orders`, `Account`. */
  readonly stream: string;
  readonly op: (typeof changeOps)[number];
  /** JSON array of the key's values as text, in the key's order; `[]` for `truncate` and `schema`. */
  readonly key: string;
  /** Sorts by code points in the order of the source: of two states of a row the greater is the newer. */
  readonly version: string;
  /**
   * Values by column. `delete`: at least the key. `schema`: `{"columns": [{"name", "type", "key"}]}`. `truncate`: null, and
   * every row of the stream with a version up to this one is gone.
   */
  readonly row: JsonObject | null;
  /** Columns whose values the source did not send: unknown, which is not NULL. They are not in `row`. */
  readonly unknown?: readonly string[];
}

/**
 * The contract of a captured source's changes. It has the source's name, so the clean zone shows them under it.
 *
 * @param rowTags which columns of which streams are personal
 */
export function changeContract(source: string, rowTags: RowTags = {}): Contract {
  const fields: object = Type.Object({
    id: Type.String({ minLength: 1 }),
    at: timestamp(),
    stream: Type.String({ minLength: 1 }),
    op: Type.Enum([...changeOps]),
    key: Type.String(),
    version: Type.String({ minLength: 1 }),
    row: Type.Unknown(),
    unknown: Type.Optional(Type.Array(Type.String())),
  });
  const made = contract(source, { version: "1.0.0", owner: source, id: "id", time: "at", fields });
  return Object.freeze({ ...made, rowTags });
}

/** The members of a change in the order in which they are written, so that equal changes are equal texts. */
export function changeText(change: Change): { text: string; keys: number } {
  const { id, at, stream, op, key, version, row, unknown } = change;
  const members: Record<string, Json> = { id, at, stream, op, key, version, row };
  if (unknown !== undefined && unknown.length > 0) members["unknown"] = [...unknown];
  return { text: JSON.stringify(members), keys: Object.keys(members).length };
}
