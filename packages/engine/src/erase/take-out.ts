import type { ContractProgram, Program } from "@weir/compile";
import { ident, text } from "@weir/compile";
import { WeirError } from "@weir/contract";
import { failpoint } from "@weir/log";
import { storedAside } from "../aside.ts";
import type { Sql } from "../database.ts";
import { cleanHistory } from "../history.ts";
import { forgottenTime } from "../ids/id-index.ts";
import type { Lake } from "../lake.ts";
import { reachedTables } from "../merge.ts";
import { retractFromTables } from "../retract.ts";
import { unknownContract } from "../stage.ts";
import { foundInClean } from "./find.ts";
import type { RewrittenFiles } from "./files.ts";
import { leaveOut } from "./schema.ts";

/** What an erasure took out, by zone and table. */
export interface TakenOut {
  readonly contracts: readonly {
    readonly contract: string;
    readonly source: string;
    readonly records: number;
  }[];
  readonly quarantined: readonly {
    readonly contract: string;
    readonly source: string;
    readonly records: number;
  }[];
  readonly zones: Readonly<Record<string, number>>;
  readonly tables: readonly { readonly table: string; readonly before: number; readonly after: number }[];
  /** Files of the lake that were written anew, or removed as nothing else was in them, by zone. */
  readonly files: Readonly<Record<string, number>>;
}

export interface TakeOutContext {
  readonly program: Program;
  readonly lake: Lake;
}

/**
 * `removed_<contract>`: the found rows that count, as the clean zone has them now. Before the transaction that takes them out.
 */
export async function copyRemoved(
  sql: Sql,
  { program, lake }: TakeOutContext,
): Promise<Set<ContractProgram>> {
  const losing = new Set<ContractProgram>();
  for (const contract of program.contracts) {
    const { name } = contract.contract;
    const files = await sql.rows<{ path: string }>(
      `SELECT DISTINCT path FROM erase_found WHERE zone = 'clean' AND name = ${text(name)}`,
    );
    if (files.length === 0) continue;
    const history = await cleanHistory(
      sql,
      lake,
      contract,
      files.map(({ path }) => path),
    );
    await sql.run(`CREATE OR REPLACE TEMP TABLE ${ident(`removed_${name}`)} AS
      SELECT c.* FROM (${history}) c WHERE EXISTS (SELECT 1 FROM erase_found f WHERE ${foundInClean(name, "c")})`);
    losing.add(contract);
  }
  await refuseAside(sql, program, losing);
  return losing;
}

/** A table that is set aside stays as it was, with the person's rows. @throws WeirError `erasure_blocked` */
async function refuseAside(sql: Sql, program: Program, losing: ReadonlySet<ContractProgram>): Promise<void> {
  const aside = await storedAside(sql);
  const names = new Set([...losing].map(({ contract }) => contract.name));
  const reached = reachedTables(program, ({ from }) => from.some((name) => names.has(name)));
  const blocked = reached.filter(({ name }) => aside.has(name)).map(({ name }) => name);
  if (blocked.length === 0) return;
  throw new WeirError(
    "erasure_blocked",
    `These tables are set aside and cannot be brought up to date: ${blocked.join(", ")}.`,
    {
      remedy: "weir status says why. Correct their SQL, restart, and ask again; nothing was erased.",
    },
  );
}

/**
 * Takes the found rows out of everything that the state holds, within a transaction: the manifest lists the files without
 * them, every table is as if their records had never come, and their ids are free again. Counts say `suppressed` where they said
 * `loaded` or `quarantined`.
 *
 * @returns with the paths of the files that the manifest does not list any more
 */
export async function takeOut(
  sql: Sql,
  context: TakeOutContext,
  commit: number,
  losing: ReadonlySet<ContractProgram>,
  files: RewrittenFiles,
): Promise<{ readonly taken: TakenOut; readonly replaced: readonly string[] }> {
  const { program } = context;
  const zones = await countByZone(sql, "count(*)");
  const replacedByZone = await countByZone(sql, "count(DISTINCT path)");
  const names = new Set([...losing].map(({ contract }) => contract.name));
  const reached = reachedTables(program, ({ from }) => from.some((name) => names.has(name)));
  const before = await countRows(sql, reached);
  const contracts: TakenOut["contracts"][number][] = [];
  for (const { contract, removedIds } of losing) {
    const { name } = contract;
    const rows = await sql.rows<{ source: string; records: number }>(
      `SELECT _source AS source, count(*)::DOUBLE AS records FROM ${ident(`removed_${name}`)} GROUP BY ALL ORDER BY 1`,
    );
    contracts.push(...rows.map(({ source, records }) => ({ contract: name, source, records })));
    await sql.run(`INSERT INTO db.weir.id_recent
        SELECT DISTINCT h0, h1, h2, h3, ${forgottenTime}::BIGINT, 0::UBIGINT, ${commit}::UBIGINT FROM (${removedIds})`);
  }
  contracts.push(...(await undeclared(sql, names)));
  await sql.run(`DELETE FROM db.weir.superseded x USING erase_found f WHERE ${isSuperseded}`);
  const quarantined = await sql.rows<{ contract: string; source: string; records: number }>(
    `SELECT coalesce(contract, ${text(unknownContract)}) AS contract, source, count(*)::DOUBLE AS records
     FROM erase_found WHERE zone = 'quarantine' GROUP BY ALL ORDER BY 1, 2`,
  );
  const replaced = await files.list();
  failpoint("engine.erase.files_listed");
  if (losing.size > 0) await retractFromTables(sql, context, losing, []);
  failpoint("engine.erase.tables_recomputed");
  await writeCounts(sql, commit, contracts, quarantined);
  await sql.run(leaveOut("raw", zones["raw"] ?? 0));
  const after = await countRows(sql, reached);
  const tables = reached.map(({ name }) => ({
    table: name,
    before: before.get(name) ?? 0,
    after: after.get(name) ?? 0,
  }));
  return { taken: { contracts, quarantined, zones, tables, files: replacedByZone }, replaced };
}

/** Condition that a found row `f` of the clean zone is the superseded record `x`. */
const isSuperseded = `f.zone = 'clean' AND f.name = x.contract AND f.source = x.source AND f.writer = x.writer
  AND f.number = x.number AND f.line = x.line`;

/** Found records that count, of contracts that the program does not declare any more: no table reads them. */
async function undeclared(sql: Sql, declared: ReadonlySet<string>): Promise<TakenOut["contracts"]> {
  return await sql.rows<{ contract: string; source: string; records: number }>(
    `SELECT f.name AS contract, f.source, count(*)::DOUBLE AS records FROM erase_found f
     WHERE f.zone = 'clean' AND f.name NOT IN (${[...declared].map(text).join(", ") || "''"})
       AND NOT EXISTS (SELECT 1 FROM db.weir.superseded x WHERE ${isSuperseded}) GROUP BY ALL ORDER BY 1, 2`,
  );
}

async function countByZone(sql: Sql, what: string): Promise<Record<string, number>> {
  const rows = await sql.rows<{ zone: string; n: number }>(
    `SELECT zone, (${what})::DOUBLE AS n FROM erase_found GROUP BY zone ORDER BY zone`,
  );
  return Object.fromEntries(rows.map(({ zone, n }) => [zone, n]));
}

async function countRows(sql: Sql, tables: Program["tables"]): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const { name } of tables) {
    const { n } = await sql.row<{ n: number }>(`SELECT count(*)::DOUBLE AS n FROM db.main.${ident(name)}`);
    counts.set(name, n);
  }
  return counts;
}

async function writeCounts(
  sql: Sql,
  commit: number,
  contracts: TakenOut["contracts"],
  quarantined: TakenOut["quarantined"],
): Promise<void> {
  const values = [
    ...contracts.map((c) => `(${text(c.source)}, ${text(c.contract)}, ${c.records}, 0)`),
    ...quarantined.map((c) => `(${text(c.source)}, ${text(c.contract)}, 0, ${c.records})`),
  ];
  const taken =
    values.length === 0
      ? ""
      : `CREATE OR REPLACE TEMP TABLE erase_counts AS
      SELECT source, contract, sum(loaded)::BIGINT AS loaded, sum(quarantined)::BIGINT AS quarantined
      FROM (VALUES ${values.join(", ")}) v(source, contract, loaded, quarantined) GROUP BY ALL;
    UPDATE db.weir.counts t SET loaded = t.loaded - e.loaded, quarantined = t.quarantined - e.quarantined,
      suppressed = t.suppressed + e.loaded + e.quarantined
    FROM erase_counts e WHERE e.source = t.source AND e.contract = t.contract;
    INSERT INTO db.weir.commit_counts SELECT ${commit}, source, contract, 0, -loaded, 0, -quarantined, loaded + quarantined FROM erase_counts;`;
  await sql.run(`${taken}
    INSERT INTO db.weir.commits SELECT ${commit}, make_timestamp(${Date.now() * 1000}), 0, 0,
      coalesce(max(newest_received_us), 0) FROM db.weir.commits`);
}
