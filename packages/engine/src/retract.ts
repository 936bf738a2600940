import type { ContractProgram, Program } from "@weir/compile";
import { ident, text } from "@weir/compile";
import { WeirError } from "@weir/contract";
import type { Sql } from "./database.ts";
import { cleanHistory } from "./history.ts";
import type { Superseded } from "./ids/id-index.ts";
import type { Lake, LakeFile } from "./lake.ts";
import type { StagedBatch } from "./stage.ts";

/** A loaded record whose place a record of this batch takes. */
export interface SupersededRecord extends Superseded {
  readonly contract: ContractProgram;
}

interface RetractContext {
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
  const touched = context.program.tables.filter((table) =>
    [...contracts].some(({ contract }) => table.from.includes(contract.name)),
  );
  const needed = context.program.contracts.filter(({ contract }) =>
    touched.some((table) => table.from.includes(contract.name)),
  );
  for (const contract of needed) await showHistory(sql, context, contract, contracts.has(contract), clean);
  for (const table of touched) await recomputeGroups(sql, table);
  return takenBack;
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

/** `fresh_<contract>` becomes the whole clean zone, this batch's files included. */
async function showHistory(
  sql: Sql,
  { lake }: RetractContext,
  contract: ContractProgram,
  hasRemoved: boolean,
  clean: readonly LakeFile[],
): Promise<void> {
  const { name } = contract.contract;
  const committed = await sql.rows<{ path: string }>(
    `SELECT path FROM db.weir.files WHERE zone = 'clean' AND name = ${text(name)}`,
  );
  const added = clean.filter((file) => file.name === name && file.rows > 0);
  const paths = [...committed, ...added].map(({ path }) => path);
  await sql.run(
    `CREATE OR REPLACE TEMP VIEW ${ident(`fresh_${name}`)} AS ${await cleanHistory(sql, lake, contract, paths)}`,
  );
  if (!hasRemoved) {
    await sql.run(`CREATE OR REPLACE TEMP TABLE ${ident(`removed_${name}`)} AS ${contract.emptyClean}`);
  }
}

async function recomputeGroups(sql: Sql, table: Program["tables"][number]): Promise<void> {
  for (const statement of table.retract) await sql.run(statement.sql);
  await sql.run(table.affectedEvents.sql);
  for (const statement of table.merge) await sql.run(statement.sql);
}
