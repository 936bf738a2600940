import { rmSync } from "node:fs";
import { ident, text } from "@weir/compile";
import { failpoint } from "@weir/log";
import type { Sql } from "../database.ts";
import { eachRow } from "../each-row.ts";
import { forgottenTime } from "../ids/id-index.ts";
import type { IdIndex } from "../ids/id-index.ts";
import type { DecidedRun } from "../ids/id-store.ts";
import { best } from "./candidates.ts";
import type { DeriveContext } from "./derive.ts";

/**
 * Ids whose winner may change in one replay. While the swap decides about them nothing else commits, about 5 us an id: 50 s for as
 * many as may be.
 */
export const mostIds = 10_000_000;

/**
 * What the id index is to know of ids whose winner a replay decided: the time and the content of the winner, or that they are free.
 *
 * They become a run of their own, newer than all others; recent ids hide what is in runs, so those among them are recent ids as well.
 *
 * Crash points: the run is on disk and not listed before the commit (the next start removes it), and counts after it.
 */
export interface ReplayedIds {
  /** The run; undefined where there are no ids. */
  readonly run: DecidedRun | undefined;
  /** A table that a commit can read, of those that are among the recent: `h0` to `h3`, `t`, `content`. */
  readonly recent: string;
  /** Takes them over in memory, once they are committed. */
  apply(index: IdIndex): void;
}

const columns = "h0, h1, h2, h3, t, content";
const hashes = "h0, h1, h2, h3";

/** When it is the swap's turn. Tables are in the commit's schema. */
export async function replayedIds(context: DeriveContext, schema: string): Promise<ReplayedIds> {
  const { host, sql } = context;
  const [all, recent] = [`memory.${schema}.replayed_ids`, `memory.${schema}.replayed_recent`];
  await sql.run(
    `CREATE OR REPLACE TABLE ${all} (h0 UINTEGER, h1 UINTEGER, h2 UINTEGER, h3 UINTEGER, t BIGINT, content UBIGINT)`,
  );
  await hashWinners(context, all);
  await sql.run(`CREATE OR REPLACE TABLE ${recent} AS SELECT ${columns} FROM ${all}
    SEMI JOIN (SELECT ${hashes} FROM db.weir.id_recent) USING (${hashes})`);
  const run = await host.ids.writeDecided(sql, all);
  failpoint("engine.task.replay_ids_written");
  const apply = await collected(sql, recent);
  return { run, recent, apply };
}

/** The winner of each affected id, or that it is free, into a table. Ids come by files: as values in statements they took 20 us each. */
async function hashWinners({ host, sql, space }: DeriveContext, table: string): Promise<void> {
  await space.sql.run(`CREATE OR REPLACE TEMP TABLE id_winners AS
    SELECT a.contract, a.id, b.t, b.c FROM affected a LEFT JOIN (${best}) b ON b.contract = a.contract AND b.id = a.id`);
  const found = await space.sql.rows<{ contract: string }>("SELECT DISTINCT contract FROM affected");
  const names = new Set(found.map(({ contract }) => contract));
  for (const { contract, removedIds } of host.program.contracts) {
    const { name, id } = contract;
    if (!names.has(name)) continue;
    const file = await space.files.write(
      space.sql,
      `SELECT id, coalesce(t, ${forgottenTime}) AS t, coalesce(c, 0) AS c FROM temp.id_winners WHERE contract = ${text(name)}`,
      { zone: "clean", name, path: `ids/${name}.parquet`, minTime: "", maxTime: "" },
    );
    const path = space.files.path(file.path);
    const removed = `temp.${ident(`removed_${name}`)}`;
    await sql.run(`CREATE OR REPLACE TEMP TABLE ${ident(`removed_${name}`)} AS
        SELECT id AS ${ident(id)}, t::BIGINT AS _t, c::UBIGINT AS _c FROM read_parquet(${text(path)}, hive_partitioning = false);
      INSERT INTO ${table} SELECT ${hashes}, _t, _c FROM (${removedIds}) POSITIONAL JOIN (SELECT _t, _c FROM ${removed});
      DROP TABLE ${removed}`);
    rmSync(path, { force: true });
  }
}

async function collected(sql: Sql, table: string): Promise<(index: IdIndex) => void> {
  const words: number[] = [];
  const values: bigint[] = [];
  await eachRow(await sql.stream(`SELECT ${columns} FROM ${table}`), (value) => {
    for (let i = 0; i < 4; i++) words.push(value(i) as number);
    values.push(value(4) as bigint, value(5) as bigint);
  });
  return (index) => {
    for (let i = 0; i * 2 < values.length; i++) {
      const [h0 = 0, h1 = 0, h2 = 0, h3 = 0] = words.slice(i * 4, i * 4 + 4);
      index.restore(h0, h1, h2, h3, values[i * 2] ?? 0n, values[i * 2 + 1] ?? 0n);
    }
  };
}
