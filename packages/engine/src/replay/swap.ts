import { copyFileSync, linkSync, mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import type { TableProgram } from "@weir/compile";
import { ident, text } from "@weir/compile";
import type { Sql } from "../database.ts";
import { syncPaths } from "../durable.ts";
import { leaveOut } from "../erase/schema.ts";
import { forgottenTime } from "../ids/id-index.ts";
import type { IdIndex } from "../ids/id-index.ts";
import { manifestValues } from "../lake.ts";
import type { LakeFile } from "../lake.ts";
import { forgetBeside, swapIn } from "../shadow/swap.ts";
import type { OutcomeCount } from "../stage.ts";
import { best } from "./candidates.ts";
import type { DeriveContext } from "./derive.ts";
import type { ResultFile } from "./workspace.ts";

/** Ids whose winner may change in one replay: what an id index takes at a time. */
export const mostIds = 1_000_000;

const asLakeFile = (file: ResultFile): LakeFile => ({
  zone: file.zone as LakeFile["zone"],
  name: file.name,
  path: file.final,
  rows: file.rows,
  bytes: file.bytes,
  crc32: file.crc32,
  minTime: file.low,
  maxTime: file.high,
});

/** Puts files of a replay into the lake, where they count once the manifest lists them; durably. */
export async function placeFiles(
  { host, space }: DeriveContext,
  results: readonly ResultFile[],
): Promise<void> {
  const { lake } = host;
  for (const { path, final } of results) {
    const [from, target] = [space.files.path(path), lake.path(final)];
    mkdirSync(dirname(target), { recursive: true });
    rmSync(target, { force: true });
    try {
      linkSync(from, target);
    } catch {
      // The lake may be on another file system.
      copyFileSync(from, target);
      await syncPaths([target]);
    }
  }
  await lake.syncDirectories(results.map(asLakeFile));
}

export function removePlaced({ host }: DeriveContext, results: readonly ResultFile[]): void {
  for (const { final } of results) rmSync(host.lake.path(final), { force: true });
}

/** What the id index knows of ids whose winner a replay decided; see ids/id-index.ts. */
export interface ReplayedIds {
  /** A table that a commit can read: `h0` to `h3`, `t`, `content`. */
  readonly table: string;
  /** Takes them over in memory, once they are committed. */
  readonly apply: (index: IdIndex) => void;
}

interface IdRow extends Record<string, string | null> {
  id: string;
  t: string | null;
  c: string | null;
}

const rowsAtOnce = 10_000;

/** The winner of each affected id, or that it is free, in a table of the commit's schema. */
export async function replayedIds({ host, sql, space }: DeriveContext, schema: string): Promise<ReplayedIds> {
  const table = `memory.${schema}.replayed_ids`;
  await sql.run(
    `CREATE OR REPLACE TABLE ${table} (h0 UINTEGER, h1 UINTEGER, h2 UINTEGER, h3 UINTEGER, t BIGINT, content UBIGINT)`,
  );
  await space.sql.run(`CREATE OR REPLACE TEMP TABLE id_winners AS
    SELECT row_number() OVER () AS n, a.contract, a.id, b.t, b.c FROM affected a
    LEFT JOIN (${best}) b ON b.contract = a.contract AND b.id = a.id`);
  const found = await space.sql.rows<{ contract: string }>("SELECT DISTINCT contract FROM affected");
  const names = new Set(found.map(({ contract }) => contract));
  for (const { contract, removedIds } of host.program.contracts) {
    const { name, id } = contract;
    if (!names.has(name)) continue;
    const removed = `temp.${ident(`removed_${name}`)}`;
    await sql.run(
      `CREATE OR REPLACE TEMP TABLE ${ident(`removed_${name}`)} (${ident(id)} VARCHAR, _t BIGINT, _c UBIGINT)`,
    );
    const { high } = await space.sql.row<{ high: number }>(
      "SELECT coalesce(max(n), 0)::DOUBLE AS high FROM temp.id_winners",
    );
    for (let from = 1; from <= high; from += rowsAtOnce) {
      const rows = await space.sql.rows<IdRow>(
        `SELECT id, t::VARCHAR AS t, c::VARCHAR AS c FROM temp.id_winners WHERE contract = ${text(name)} AND n BETWEEN ${from} AND ${from + rowsAtOnce - 1}`,
      );
      const values = rows.map((row) => `(${text(row.id)}, ${row.t ?? forgottenTime}, ${row.c ?? 0})`);
      if (values.length > 0) await sql.run(`INSERT INTO ${removed} VALUES ${values.join(", ")}`);
    }
    await sql.run(`INSERT INTO ${table} SELECT h.h0, h.h1, h.h2, h.h3, r._t, r._c FROM (${removedIds}) h POSITIONAL JOIN ${removed} r;
      DROP TABLE ${removed}`);
  }
  const apply = await collected(sql, table);
  return { table, apply };
}

async function collected(sql: Sql, table: string): Promise<(index: IdIndex) => void> {
  const words: number[] = [];
  const values: bigint[] = [];
  const result = await sql.stream(`SELECT h0, h1, h2, h3, t, content FROM ${table}`);
  for (;;) {
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) break;
    const vectors = [0, 1, 2, 3, 4, 5].map((i) => chunk.getColumnVector(i));
    for (let i = 0; i < chunk.rowCount; i++) {
      for (const vector of vectors.slice(0, 4)) words.push(vector.getItem(i) as number);
      for (const vector of vectors.slice(4)) values.push(vector.getItem(i) as bigint);
    }
  }
  return (index) => {
    for (let i = 0; i * 2 < values.length; i++) {
      const [h0 = 0, h1 = 0, h2 = 0, h3 = 0] = words.slice(i * 4, i * 4 + 4);
      index.restore(h0, h1, h2, h3, values[i * 2] ?? 0n, values[i * 2 + 1] ?? 0n);
    }
  };
}

/** Everything that the commit of a swap writes. */
export interface SwapPlan {
  readonly task: number;
  readonly tables: readonly TableProgram[];
  /** The commit that the copied tables are of. */
  readonly after: number;
  readonly contracts: readonly string[];
  readonly results: readonly ResultFile[];
  /** Live files whose place they take. */
  readonly replaced: readonly string[];
  /** Rows of `superseded`, as values. */
  readonly hidden: readonly string[];
  readonly counts: readonly OutcomeCount[];
  readonly ids: ReplayedIds;
}

/** The live state as the replay has it, within the commit's transaction. @throws FailedTable */
export async function swapReplay(
  sql: Sql,
  { program, lake }: DeriveContext["host"],
  plan: SwapPlan,
  commit: number,
): Promise<void> {
  const { task, tables, after, contracts, results, replaced, hidden, counts, ids } = plan;
  const names = contracts.map(text).join(", ") || "NULL";
  await sql.run(`DELETE FROM db.weir.files WHERE path IN (${replaced.map(text).join(", ") || "NULL"});
    DELETE FROM db.weir.superseded WHERE contract IN (${names});
    INSERT INTO db.weir.id_recent SELECT h0, h1, h2, h3, t, content, ${commit} FROM ${ids.table}`);
  await fill(
    sql,
    "db.weir.files",
    results.map((file) => manifestValues(asLakeFile(file), file.commit)),
  );
  await fill(sql, "db.weir.superseded", hidden);
  await writeCounts(sql, commit, counts);
  await sql.run(
    leaveOut(
      "raw",
      counts.reduce((sum, { suppressed }) => sum + suppressed, 0),
    ),
  );
  if (tables.length > 0) await swapIn(sql, { program, lake, tables }, task, after, commit);
  await forgetBeside(sql, "A replay changed records that it was made of meanwhile. Ask for it again.", task);
}

async function fill(sql: Sql, table: string, values: readonly string[]): Promise<void> {
  for (let at = 0; at < values.length; at += 1_000)
    await sql.run(`INSERT INTO ${table} VALUES ${values.slice(at, at + 1_000).join(", ")}`);
}

async function writeCounts(sql: Sql, commit: number, counts: readonly OutcomeCount[]): Promise<void> {
  if (counts.length === 0) return;
  const values = counts.map(
    (c) =>
      `(${text(c.source)}, ${text(c.contract)}, ${c.received}, ${c.loaded}, ${c.duplicate}, ${c.quarantined}, ${c.suppressed})`,
  );
  const list = `(VALUES ${values.join(", ")}) s(source, contract, received, loaded, duplicate, quarantined, suppressed)`;
  await sql.run(`MERGE INTO db.weir.counts t USING ${list} ON t.source = s.source AND t.contract = s.contract
      WHEN MATCHED THEN UPDATE SET received = t.received + s.received, loaded = t.loaded + s.loaded,
        duplicate = t.duplicate + s.duplicate, quarantined = t.quarantined + s.quarantined, suppressed = t.suppressed + s.suppressed
      WHEN NOT MATCHED THEN INSERT VALUES (s.source, s.contract, s.received, s.loaded, s.duplicate, s.quarantined, s.suppressed);
    INSERT INTO db.weir.commit_counts SELECT ${commit}, * FROM ${list}`);
}
