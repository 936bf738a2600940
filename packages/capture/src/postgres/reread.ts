import { setTimeout as pause } from "node:timers/promises";
import type { CapturedRecord } from "../capture.ts";
import type { Reread } from "./change-reader.ts";
import { parseLsn, versionLsn } from "./lsn.ts";
import type { Relation } from "./relation.ts";
import { changeLine, keyText, rowText } from "./row-text.ts";
import type { Value } from "./row-text.ts";
import { ServerError, identifier, literal } from "./wire.ts";
import type { Wire } from "./wire.ts";

const keysAQuery = 200;

/**
 * Reads the values that changes of keys left out. What is read is at least as new as the change, and whatever changed
 * it since is streamed behind it, so the values stand at the version of the change; a row that is gone by now
 * has its end in the stream.
 *
 * @returns partial rows: the key and the columns wanted, all others unknown
 * @throws ServerError, ConnectionLost
 */
export async function reread(
  wire: Wire,
  source: string,
  wanted: readonly Reread[],
): Promise<CapturedRecord[]> {
  const records: CapturedRecord[] = [];
  const byRelation = new Map<Relation, Reread[]>();
  for (const one of wanted) {
    const all = byRelation.get(one.relation);
    if (all === undefined) byRelation.set(one.relation, [one]);
    else all.push(one);
  }
  for (const [relation, all] of byRelation) {
    for (let at = 0; at < all.length; at += keysAQuery) {
      const some = all.slice(at, at + keysAQuery);
      for (const { xid } of some) await visible(wire, xid);
      const found = await rows(wire, relation, some);
      for (const one of some) {
        const row = found.get(
          keyText(
            one.key.map((_, i) => i),
            one.key,
          ),
        );
        if (row !== undefined) records.push(partialRow(source, one, row));
      }
    }
  }
  return records;
}

/** A commit is in the write-ahead log, and streamed, before others see it. */
async function visible(wire: Wire, xid: number): Promise<void> {
  for (;;) {
    const [row] = await wire.query("SELECT txid_current_snapshot()");
    const [, xmax = "0", running = ""] = (row?.[0] ?? "").split(":");
    // The stream has the low 32 bits of transaction ids, which wrap around.
    const begun = ((xid - Number(BigInt(xmax) & 0xffffffffn)) | 0) < 0;
    const ended = !running.split(",").some((id) => id !== "" && Number(BigInt(id) & 0xffffffffn) === xid);
    if (begun && ended) return;
    await pause(20);
  }
}

async function rows(
  wire: Wire,
  relation: Relation,
  wanted: readonly Reread[],
): Promise<Map<string, { lsn: string; values: Value[] }>> {
  const { names, keyAt, message } = relation;
  const columns = [...new Set(wanted.flatMap((one) => one.columns))];
  const list = [...keyAt, ...columns].map((i) => identifier(names[i] ?? ""));
  const keys = keyAt.map((i) => identifier(names[i] ?? "")).join(", ");
  const values = wanted.map(({ key }) => `(${key.map(literal).join(", ")})`).join(", ");
  const place = `${identifier(message.schema)}.${identifier(message.table)}`;
  try {
    const found = await wire.query(
      `SELECT pg_current_wal_insert_lsn(), ${list.join(", ")} FROM ${place} WHERE (${keys}) IN (${values})`,
    );
    return new Map(
      found.map(([lsn, ...row]) => {
        const byColumn: Value[] = Array.from({ length: names.length });
        for (const [i, column] of [...keyAt, ...columns].entries()) byColumn[column] = row[i] ?? null;
        return [keyText(keyAt, byColumn), { lsn: lsn ?? "0/0", values: byColumn }] as const;
      }),
    );
  } catch (error) {
    // The table, or a column of it, is not there any more: that is noticed, and the table read, elsewhere.
    if (error instanceof ServerError && /^(42P01|42703|3F000)$/.test(error.code)) return new Map();
    throw error;
  }
}

function partialRow(
  source: string,
  { relation, columns, version: base, at }: Reread,
  { lsn, values }: { lsn: string; values: readonly Value[] },
): CapturedRecord {
  const { names, prefixes, keyAt, streamText } = relation;
  const known = new Set([...keyAt, ...columns]);
  const version = `${base}-${versionLsn(0, parseLsn(lsn))}`;
  const { text, keys } = changeLine({
    id: version,
    at,
    stream: streamText,
    op: "update",
    key: keyText(keyAt, values),
    version,
    row: rowText(
      prefixes,
      values.map((value, i) => (known.has(i) ? value : undefined)),
    ),
    unknown: names.filter((_, i) => !known.has(i)),
  });
  return { contract: source, text, keys };
}
