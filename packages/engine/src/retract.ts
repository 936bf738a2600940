import type { ContractProgram, Program, TableProgram } from "@weir/compile";
import { ident, text } from "@weir/compile";
import { WeirError } from "@weir/contract";
import { recordGone } from "./changes/gone.ts";
import type { Sql } from "./database.ts";
import { cleanHistory } from "./history.ts";
import type { Superseded } from "./ids/id-index.ts";
import type { Lake, LakeFile } from "./lake.ts";
import {
  contractsOf,
  forgetChanges,
  hasChanges,
  mergeTable,
  reachedTables,
  runStatements,
  showFresh,
} from "./merge.ts";
import type { StagedBatch } from "./stage.ts";

/** A loaded record whose place a record of this batch takes. */
export interface SupersededRecord extends Superseded {
  readonly contract: ContractProgram;
}

export interface RetractContext {
  readonly program: Program;
  readonly lake: Lake;
}

/** Loaded records that became duplicates, by source and contract. */
export interface TakenBack {
  readonly source: string;
  readonly contract: string;
  readonly records: number;
}

/**
 * Takes loaded records back whose id a lesser record of this batch has (see ids/id-index.ts). Rare: it needs two
 * different records with one id, and the second to win.
 *
 * The old record is listed in `superseded`, which hides it from the clean zone. Of each table that it is in, the
 * groups it belonged to are dropped and computed anew from the clean zone, this batch included; so measures need no
 * inverse. Runs within the commit's transaction, after the batch was merged.
 */
export async function retractSuperseded(
  sql: Sql,
  context: RetractContext,
  staged: StagedBatch,
  superseded: readonly SupersededRecord[],
  clean: readonly LakeFile[],
): Promise<TakenBack[]> {
  if (superseded.length === 0) return [];
  const takenBack: TakenBack[] = [];
  const contracts = new Set(superseded.map(({ contract }) => contract));
  for (const contract of contracts) {
    const records = superseded.filter((record) => record.contract === contract);
    takenBack.push(...(await hideRecords(sql, context, staged, contract, records)));
  }
  await retractFromTables(sql, context, contracts, clean);
  return takenBack;
}

/**
 * Brings every table up to date with what was taken back, each after those that it reads. Within a transaction.
 *
 * @param losing contracts whose `removed_<contract>` has the records, as the clean zone had them
 * @param clean files of this transaction that the manifest does not list yet
 */
export async function retractFromTables(
  sql: Sql,
  context: RetractContext,
  losing: ReadonlySet<ContractProgram>,
  clean: readonly LakeFile[],
): Promise<void> {
  const { program } = context;
  const names = new Set([...losing].map(({ contract }) => contract.name));
  const tables = reachedTables(
    program,
    ({ from, everyBatch = false }) => everyBatch || from.some((name) => names.has(name)),
  );
  const contracts = contractsOf(program, tables);
  for (const contract of contracts) {
    if (!names.has(contract.contract.name))
      await sql.run(
        `CREATE OR REPLACE TEMP TABLE ${ident(`removed_${contract.contract.name}`)} AS ${contract.emptyClean}`,
      );
  }
  const histories = new Map<ContractProgram, string>();
  for (const contract of contracts) histories.set(contract, await allHistory(sql, context, contract, clean));
  await forgetChanges(sql, program, tables);
  const retracted = new Set<string>();
  for (const table of tables) {
    const isLosing =
      table.from.some((name) => names.has(name)) ||
      (table.retractsWith ?? []).some((input) => retracted.has(input));
    if (isLosing) retracted.add(table.name);
    if (!isLosing && !(await hasChanges(sql, table))) continue;
    for (const [contract, history] of histories) {
      if (!table.from.includes(contract.contract.name)) continue;
      await showFresh(sql, contract.contract.name, isLosing ? history : contract.emptyClean);
    }
    await (isLosing ? recomputeGroups(sql, table) : mergeTable(sql, table));
  }
  await recordGone(sql, tables, true);
}

/** `removed_<contract>`: the old records as the clean zone has them; then they are hidden. */
async function hideRecords(
  sql: Sql,
  { lake }: RetractContext,
  staged: StagedBatch,
  contract: ContractProgram,
  records: readonly SupersededRecord[],
): Promise<TakenBack[]> {
  const { name, id, time } = contract.contract;
  const values = records.map(({ row, content, time: us }) => `(${row}, ${content}::UBIGINT, ${us}::BIGINT)`);
  const times = records.map((record) => record.time);
  const low = times.reduce((a, b) => (a < b ? a : b));
  const high = times.reduce((a, b) => (a > b ? a : b));
  const files = await sql.rows<{ path: string }>(
    `SELECT path FROM db.weir.files WHERE zone = 'clean' AND name = ${text(name)}
     AND min_time <= make_timestamp(${high}) AND max_time >= make_timestamp(${low}) ORDER BY "commit", path`,
  );
  const history = await cleanHistory(
    sql,
    lake,
    contract,
    files.map(({ path }) => path),
  );
  const removed = ident(`removed_${name}`);
  await sql.run(`CREATE OR REPLACE TEMP TABLE ${removed} AS
    SELECT c.* FROM (${history}) c
    JOIN (VALUES ${values.join(", ")}) s(_key, content, us) ON c._content = s.content AND epoch_us(c.${ident(time)}) = s.us
    JOIN memory.${staged.schema}.${ident(`rows_${name}`)} r ON r._ok AND r._key = s._key AND r.${ident(id)} = c.${ident(id)};
    INSERT INTO db.weir.superseded SELECT ${text(name)}, ${ident(id)}::VARCHAR, _source, _writer, _number, _line,
      getvariable('weir_commit') FROM ${removed}`);
  const counts = await sql.rows<{ source: string; records: number }>(
    `SELECT _source AS source, count(*)::DOUBLE AS records FROM ${removed} GROUP BY ALL`,
  );
  const found = counts.reduce((sum, count) => sum + count.records, 0);
  // There are more where an id was forgotten (see IdStore) and its record then loaded again.
  if (found < records.length) {
    throw new WeirError(
      "state_corrupt",
      `${records.length} records of ${name} are to be taken back, and the clean zone has ${found} of them.`,
      { where: lake.root },
    );
  }
  return counts.map(({ source, records: n }) => ({ source, contract: name, records: n }));
}

/** The whole clean zone of a contract, this batch's files included. */
async function allHistory(
  sql: Sql,
  { lake }: RetractContext,
  contract: ContractProgram,
  clean: readonly LakeFile[],
): Promise<string> {
  const { name } = contract.contract;
  const committed = await sql.rows<{ path: string }>(
    `SELECT path FROM db.weir.files WHERE zone = 'clean' AND name = ${text(name)}`,
  );
  const added = clean.filter((file) => file.name === name && file.rows > 0);
  return await cleanHistory(
    sql,
    lake,
    contract,
    [...committed, ...added].map(({ path }) => path),
  );
}

async function recomputeGroups(sql: Sql, table: TableProgram): Promise<void> {
  await runStatements(sql, table.retract);
  if (table.affectedEvents !== undefined) await sql.run(table.affectedEvents.sql);
  await runStatements(sql, table.merge);
}
