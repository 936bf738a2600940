import type { Captured } from "@weir/testkit";

/** Rows of a stream by key: column -> text as the server writes it, or null. Columns of unknown value are missing. */
export type FoldedStream = Map<string, Map<string, string | null>>;

interface ChangeValue {
  readonly id: string;
  readonly stream: string;
  readonly op: string;
  readonly key: string;
  readonly version: string;
  readonly row: Record<string, string | null> & { columns?: { name: string }[] };
  readonly unknown?: string[];
}

/**
 * What change records say the tables hold: the fold of each stream's records in the order of their versions. Plain on
 * purpose, and shares nothing with what it judges.
 */
export function foldChanges(records: readonly Captured[]): Map<string, FoldedStream> {
  const byId = new Map<string, ChangeValue>();
  for (const { value } of records) {
    const change = value as unknown as ChangeValue | undefined;
    if (change !== undefined) byId.set(change.id, change);
  }
  const changes = [...byId.values()].sort((a, b) => order(a.version, b.version) || order(a.id, b.id));
  const streams = new Map<string, FoldedStream>();
  for (const change of changes) {
    let rows = streams.get(change.stream);
    if (rows === undefined) streams.set(change.stream, (rows = new Map()));
    apply(rows, change);
  }
  return streams;
}

function apply(rows: FoldedStream, { op, key, row, unknown = [] }: ChangeValue): void {
  if (op === "truncate") rows.clear();
  else if (op === "delete") rows.delete(key);
  else if (op === "schema") {
    const names = new Set(row.columns?.map(({ name }) => name));
    for (const values of rows.values()) {
      for (const name of values.keys()) if (!names.has(name)) values.delete(name);
    }
  } else {
    const before = rows.get(key);
    const now = new Map(Object.entries(row as Record<string, string | null>));
    for (const name of unknown) {
      const value = before?.get(name);
      if (value !== undefined) now.set(name, value);
    }
    rows.set(key, now);
  }
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
