import { columnsText } from "./columns.ts";
import type { Column, ShownColumn, TypeNames } from "./columns.ts";
import { columnPrefixes } from "./row-text.ts";

/** A RELATION message: a table as it was when the changes that follow were made. */
export interface RelationMessage {
  readonly oid: number;
  readonly schema: string;
  readonly table: string;
  /** What old rows hold: the primary key (d), an index's columns (i), all columns (f), nothing (n). */
  readonly identity: "d" | "i" | "f" | "n";
  /** `identifying`: the column is in old rows. */
  readonly columns: readonly (Column & { readonly identifying: boolean })[];
}

/** Where changes of a relation go. */
export interface Target {
  readonly stream: string;
  /** Names of the primary key's columns today; what identifies rows where the stream says "all columns". */
  readonly primaryKey: readonly string[];
  /** Of a partition that belongs to the stream's table, which may have its columns in another order: its key's columns. */
  readonly keyOrder?: readonly string[];
}

/** A relation, readied for the changes that follow. */
export interface Relation {
  readonly message: RelationMessage;
  readonly target: Target;
  /** JSON string, quotes included. */
  readonly streamText: string;
  readonly names: readonly string[];
  readonly prefixes: readonly string[];
  /** Indexes of the columns that identify a row, in their order in the table. */
  readonly keyAt: readonly number[];
  readonly keyNames: readonly string[];
  readonly keyPrefixes: readonly string[];
  /** The columns as the `schema` record of the stream has them. */
  readonly columns: readonly ShownColumn[];
  readonly columnsText: string;
}

/**
 * Which columns identify a row of a stream: those of its replica identity. Where that is all columns it is the primary
 * key, if there is one, else the whole row.
 */
export function keyColumns(message: RelationMessage, primaryKey: readonly string[]): number[] {
  const all = message.columns.map((_, i) => i);
  if (message.identity !== "f") return all.filter((i) => message.columns[i]?.identifying === true);
  const key = all.filter((i) => primaryKey.includes(message.columns[i]?.name ?? ""));
  return key.length > 0 && key.length === primaryKey.length ? key : all;
}

export function relationOf(message: RelationMessage, target: Target, types: TypeNames): Relation {
  const names = message.columns.map(({ name }) => name);
  const { keyOrder = [] } = target;
  const place = (at: number): number => keyOrder.indexOf(names[at] ?? "");
  const keyAt = keyColumns(message, target.primaryKey).sort((a, b) => place(a) - place(b) || a - b);
  const prefixes = columnPrefixes(names);
  const columns = message.columns.map((column, i) => ({
    name: column.name,
    type: types.text(column),
    key: keyAt.includes(i),
  }));
  return {
    message,
    target,
    streamText: JSON.stringify(target.stream),
    names,
    prefixes,
    keyAt,
    keyNames: keyAt.map((at) => names[at] ?? ""),
    keyPrefixes: keyAt.map((at) => prefixes[at] ?? ""),
    columns,
    columnsText: columnsText(columns),
  };
}

/** Reads a RELATION message (PostgreSQL protocol, "Logical Replication Message Formats") from behind its type byte. */
export function readRelation(buffer: Buffer, start: number): RelationMessage {
  let at = start + 4;
  const text = (): string => {
    const stop = buffer.indexOf(0, at);
    const found = buffer.toString("utf8", at, stop);
    at = stop + 1;
    return found;
  };
  const schema = text();
  const table = text();
  const identity = String.fromCharCode(buffer[at] ?? 0) as RelationMessage["identity"];
  const count = buffer.readUInt16BE(at + 1);
  at += 3;
  const columns = [];
  for (let i = 0; i < count; i++) {
    const identifying = ((buffer[at++] ?? 0) & 1) === 1;
    const name = text();
    columns.push({ name, type: buffer.readUInt32BE(at), modifier: buffer.readInt32BE(at + 4), identifying });
    at += 8;
  }
  return {
    oid: buffer.readUInt32BE(start),
    // The protocol writes nothing for pg_catalog.
    schema: schema === "" ? "pg_catalog" : schema,
    table,
    identity,
    columns,
  };
}
