import { createHash } from "node:crypto";
import type { Change, Json, JsonObject } from "@weir/contract";
import { canonicalJson } from "@weir/contract";
import type { Description, Field } from "./describe.ts";

/*
 * Versions of Salesforce's rows: <SystemModstamp, 17 digits>-<pass, 10 digits>-<0 row | 1 deletion>-<hash, 16 hex>
 *
 * A row's state is told by SystemModstamp, but not wholly: formula fields change without it, and so does what a user may see. So the
 * same row can be read twice with one stamp and different content. The pass that read it decides then: it is the second, by Salesforce's clock, in
 * which the pass began, it is in the cursor before anything of the pass is read, and it only grows; so a later reading
 * wins, and a pass that goes on after a crash writes the very records that it wrote before. Two readings in one pass (its last page,
 * again after a crash) with different content differ by the hash, and the greater hash wins until a later pass. A backfill is a pass, too: of
 * half a second more (`1793534400.5`), so that its number is never that of another one.
 *
 * A deletion wins over every row of its second. A row that is deleted and restored within one second would stay deleted
 * until it changes; neither people nor programs do that.
 *
 * Stamps have whole seconds. That is harmless, because rows are read only when their stamp is older than the settle lag: by
 * then every update of that second is in the row.
 */

/** A row as it was read: what Salesforce's REST API and its CSV have in common. */
export interface ReadRow {
  readonly id: string;
  /** RFC 3339, milliseconds, Z. */
  readonly stamp: string;
  readonly created: string | undefined;
  readonly isDeleted: boolean;
  readonly values: JsonObject;
}

/** The value of a field, from the REST API. */
export function restValue(field: Field, value: Json | undefined): Json {
  if (value === undefined || value === null) return null;
  if (field.kind === "datetime" && typeof value === "string") return instant(value);
  if (field.kind === "number" || field.kind === "boolean")
    return typeof value === "string" ? scalar(field, value) : value;
  return typeof value === "string" ? value.toWellFormed() : JSON.stringify(value);
}

/** The value of a field, from CSV, which has no difference between null and an empty text; neither has Salesforce. */
export function csvValue(field: Field, text: string): Json {
  if (text === "") return null;
  if (field.kind === "datetime") return instant(text);
  return field.kind === "text" ? text.toWellFormed() : scalar(field, text);
}

function scalar({ kind }: Field, text: string): Json {
  if (kind === "boolean") return text === "true";
  const number = Number(text);
  return Number.isFinite(number) ? number : text;
}

/** REST says `2026-01-02T03:04:05.000+0000`, CSV `2026-01-02T03:04:05.000Z`. */
export function instant(text: string): string {
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? text : date.toISOString();
}

/** A row of its fields' values; undefined if it has no id or stamp, which no row lacks. */
export function readRow(description: Description, valueOf: (field: Field) => Json): ReadRow | undefined {
  const values: Record<string, Json> = {};
  for (const field of description.fields) values[field.name] = valueOf(field);
  const { Id: id, IsDeleted: isDeleted, CreatedDate: created } = values;
  const stamp = values[description.stamp];
  if (typeof id !== "string" || typeof stamp !== "string" || Number.isNaN(Date.parse(stamp)))
    return undefined;
  return {
    id,
    stamp,
    created: typeof created === "string" ? created : undefined,
    isDeleted: isDeleted === true,
    values,
  };
}

export const stampDigits = (iso: string): string => iso.replaceAll(/\D/g, "").padEnd(17, "0");
export const passDigits = (pass: number): string => String(pass).padStart(10, "0");
/** The pass of a backfill that begins now, by Salesforce's clock. */
export const backfillPass = (nowMs: number): number => Math.floor(nowMs / 1000) + 0.5;
const keyOf = (id: string): string => JSON.stringify([id]);

/** A row as a change. `stamp` stands in for the row's own where that would lose against what is known to be older. */
export function rowChange(
  stream: string,
  row: ReadRow,
  reading: { pass: number; op: "snapshot" | "insert" | "update"; stamp?: string },
): Change {
  const { pass, op, stamp = row.stamp } = reading;
  if (row.isDeleted) return deletion(stream, row.id, { stamp, at: row.stamp });
  const hash = createHash("sha256").update(canonicalJson(row.values)).digest("hex").slice(0, 16);
  const version = `${stampDigits(stamp)}-${passDigits(pass)}-0-${hash}`;
  return {
    id: `${stream}/${row.id}@${version}`,
    at: row.stamp,
    stream,
    op,
    key: keyOf(row.id),
    version,
    row: row.values,
  };
}

/** Deletions count as read in the last of all passes. */
const lastPass = 9_999_999_999;

/** The end of a row at `stamp`. The same however it was learned of: from the row in the recycle bin, or from the list of deletions. */
export function deletion(stream: string, id: string, told: { stamp: string; at: string }): Change {
  const version = `${stampDigits(told.stamp)}-${passDigits(lastPass)}-1-${"0".repeat(16)}`;
  return {
    id: `${stream}/${id}@${version}`,
    at: told.at,
    stream,
    op: "delete",
    key: keyOf(id),
    version,
    row: { Id: id },
  };
}

/** The columns of an object, from a pass on. */
export function schemaChange(description: Description, pass: number, at: string): Change {
  const columns = description.fields.map(({ name, type }) => ({ name, type, key: name === "Id" }));
  const row = { columns };
  const hash = schemaHash(description);
  const version = `${stampDigits(at)}-${passDigits(pass)}-0-${hash}`;
  const stream = description.name;
  return { id: `${stream}/schema@${version}`, at, stream, op: "schema", key: "[]", version, row };
}

export function schemaHash({ fields }: Description): string {
  const text = canonicalJson(fields.map(({ name, type }) => [name, type]));
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
