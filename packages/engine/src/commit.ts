import type { ContractProgram, Program, TableProgram } from "@weir/compile";
import { ident, text } from "@weir/compile";
import { failpoint } from "@weir/log";
import { FailedTable, storeAside, without, withReaders } from "./aside.ts";
import type { Aside } from "./aside.ts";
import { recordGone } from "./changes/gone.ts";
import type { Sql } from "./database.ts";
import { leaveOut } from "./erase/schema.ts";
import type { BatchIds, IdIndex, Verdict } from "./ids/id-index.ts";
import { idColumns } from "./ids/recent-ids.ts";
import { manifestValues } from "./lake.ts";
import type { Lake, LakeFile } from "./lake.ts";
import { mergeTables, presentRecords } from "./merge.ts";
import { rangesOf } from "./planner.ts";
import type { RemovedHistory } from "./removed-history.ts";
import { retractSuperseded } from "./retract.ts";
import type { SupersededRecord, TakenBack } from "./retract.ts";
import { batchFile } from "./stage.ts";
import type { OutcomeCount, StagedBatch } from "./stage.ts";
import { WeirError } from "@weir/contract";

/**
 * The second half of a batch: what depends on all batches before it. One at a time, in order.
 *
 * Crash points: before COMMIT nothing has happened, as files count only once the manifest lists them and their names
 * are those that the batch writes again. After COMMIT all of it has. The id index in memory is ahead of the state
 * between `take` and COMMIT; an error there ends the engine, and the next start builds the index from the state.
 */
export interface CommitContext {
  readonly program: Program;
  readonly lake: Lake;
  readonly index: IdIndex;
  readonly history: RemovedHistory;
  /** Tables that are set aside; a batch may add to it. */
  readonly aside: Map<string, string>;
}

export interface Committed {
  readonly commit: number;
  readonly records: number;
  readonly counts: readonly OutcomeCount[];
  /** Tables that may have changed. */
  readonly tables: readonly string[];
  /** Tables that this batch set aside; see aside.ts. */
  readonly setAside: readonly string[];
  readonly timings: Readonly<Record<string, number>>;
}

export async function commitBatch(sql: Sql, context: CommitContext, staged: StagedBatch): Promise<Committed> {
  const timings: Record<string, number> = { ...staged.timings };
  const timed = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const from = performance.now();
    const result = await work();
    timings[name] = (timings[name] ?? 0) + performance.now() - from;
    return result;
  };
  const commit = staged.plan.batch;
  await sql.run(`SET search_path = 'memory.${staged.schema},memory.main'; SET VARIABLE weir_commit = ${commit}::UBIGINT;
    SET VARIABLE weir_newest_us = greatest(getvariable('weir_newest_us'), ${staged.newestReceivedUs}::BIGINT);
    CREATE TABLE duplicates (_key BIGINT)`);
  const superseded = await timed("dedup", () => deduplicate(sql, staged, context));
  failpoint("engine.commit.deduplicated");
  for (const contract of staged.contracts) await sql.run(contract.fresh.sql);
  const clean = await timed("clean", () => writeClean(sql, context.lake, staged));
  failpoint("engine.commit.clean_written");
  const files = [...staged.files, ...clean];
  await context.lake.syncDirectories(files);
  failpoint("engine.commit.directories_synced");
  const batch = { staged, superseded, clean, files };
  const setAside = new Map<string, string>();
  const { merged, counts } = await settingAside(sql, context, setAside, () =>
    writeState(sql, context, batch, setAside, timed),
  );
  await timed("commit", () => sql.run("COMMIT"));
  staged.again?.committed?.();
  failpoint("engine.commit.after_commit");
  for (const [name, reason] of setAside) context.aside.set(name, reason);
  await sql.run(`SET search_path = 'memory.main'; DROP SCHEMA memory.${staged.schema} CASCADE`);
  await timed("commit", () => dropTemporary(sql));
  // What was taken back may have been in any table.
  const touched = superseded.length > 0 ? context.program.tables : merged;
  const tables = [...new Set([...touched.map(({ name }) => name), ...(staged.again?.tables ?? [])])];
  return { commit, records: newRecords(staged), counts, tables, setAside: [...setAside.keys()], timings };
}

/** Records of a batch that were not received before. */
const newRecords = ({ records, again }: StagedBatch): number => records - (again?.records ?? 0);

/** A batch up to where the transaction begins. */
interface CleanBatch {
  readonly staged: StagedBatch;
  readonly superseded: readonly SupersededRecord[];
  readonly clean: readonly LakeFile[];
  /** All files of the batch. */
  readonly files: readonly LakeFile[];
}

/** Runs the transaction until it is ready to commit: again, without the table, when a table fails that can be set aside. */
async function settingAside<T>(
  sql: Sql,
  { program }: CommitContext,
  setAside: Map<string, string>,
  transaction: () => Promise<T>,
): Promise<T> {
  for (;;) {
    try {
      await sql.run("BEGIN");
      return await transaction();
    } catch (error) {
      if (!(error instanceof FailedTable)) throw error;
      await sql.run("ROLLBACK");
      for (const [name, reason] of withReaders(program, error)) setAside.set(name, reason);
    }
  }
}

/** Everything of a batch that the state holds. */
async function writeState(
  sql: Sql,
  context: CommitContext,
  { staged, superseded, clean, files }: CleanBatch,
  setAside: Aside,
  timed: <T>(name: string, work: () => Promise<T>) => Promise<T>,
): Promise<{ merged: readonly TableProgram[]; counts: readonly OutcomeCount[] }> {
  const program = without(context.program, new Map([...context.aside, ...setAside]));
  await timed("ids", () => storeIds(sql, staged, staged.plan.batch));
  failpoint("engine.commit.ids_stored");
  const contracts = new Set(staged.contracts.map(({ contract }) => contract.name));
  const merged = await timed("tables", async () =>
    mergeTables(sql, program, await presentRecords(sql, program, contracts)),
  );
  await timed("gone", () => recordGone(sql, merged, false));
  failpoint("engine.commit.tables_merged");
  const taking = { ...context, program };
  const takenBack = await timed("retract", () => retractSuperseded(sql, taking, staged, superseded, clean));
  failpoint("engine.commit.retracted");
  const counts = await timed("counts", () => countOutcomes(sql, staged, takenBack, clean));
  await writeSystemTables(sql, staged, files, counts);
  await staged.again?.alongside(sql, counts);
  await storeAside(sql, setAside);
  failpoint("engine.commit.before_commit");
  return { merged, counts };
}

/**
 * Drops what the tables' statements left on the connection: each column of a table, however few its rows, holds blocks of
 * memory until the next batch that touches it, and with 150 entities that was gigabytes.
 */
async function dropTemporary(sql: Sql): Promise<void> {
  const tables = await sql.rows<{ name: string }>(
    "SELECT table_name AS name FROM duckdb_tables() WHERE temporary AND NOT internal",
  );
  const drops = tables.map(({ name }) => `DROP TABLE temp.${ident(name)}`);
  if (drops.length > 0) await sql.run(drops.join(";"));
}

/** Fills `duplicates`; gives the loaded records that records of this batch take the place of. */
async function deduplicate(
  sql: Sql,
  staged: StagedBatch,
  { index, history }: CommitContext,
): Promise<SupersededRecord[]> {
  const superseded: SupersededRecord[] = [];
  const duplicates: number[] = [];
  for (const contract of staged.contracts) {
    const verdict: Verdict = await index.take(
      await readIds(sql, contract),
      history.keepsPlace(contract.contract.name),
    );
    for (const row of verdict.duplicates) duplicates.push(row);
    for (const one of verdict.superseded) superseded.push({ ...one, contract });
  }
  const appender = await sql.connection.createAppender("duplicates", staged.schema, "memory");
  for (const row of duplicates) {
    appender.appendBigInt(BigInt(row));
    appender.endRow();
  }
  appender.closeSync();
  return superseded;
}

const idsTable = ({ contract }: ContractProgram): string => ident(`ids_${contract.name}`);

async function readIds(sql: Sql, contract: ContractProgram): Promise<BatchIds> {
  const { n } = await sql.row<{ n: number }>(`SELECT count(*)::DOUBLE AS n FROM ${idsTable(contract)}`);
  const ids = { ...idColumns(n), row: new Float64Array(n), size: n };
  const words = [ids.h0, ids.h1, ids.h2, ids.h3];
  const result = await sql.stream(`FROM ${idsTable(contract)}`);
  for (let at = 0; ;) {
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) break;
    const [key, h0, h1, h2, h3, time, content] = [0, 1, 2, 3, 4, 5, 6].map((i) => chunk.getColumnVector(i));
    for (let i = 0; i < chunk.rowCount; i++, at++) {
      ids.row[at] = Number(key?.getItem(i));
      ids.time[at] = time?.getItem(i) as bigint;
      ids.content[at] = content?.getItem(i) as bigint;
    }
    at -= chunk.rowCount;
    for (const [w, vector] of [h0, h1, h2, h3].entries()) {
      const word = words[w];
      if (word !== undefined)
        for (let i = 0; i < chunk.rowCount; i++) word[at + i] = vector?.getItem(i) as number;
    }
    at += chunk.rowCount;
  }
  return ids;
}

/** Dates of a batch that get a file of their own; the rest share one, so that odd event times cannot make thousands. */
const datesABatch = 8;

async function writeClean(sql: Sql, lake: Lake, staged: StagedBatch): Promise<LakeFile[]> {
  const files: LakeFile[] = [];
  for (const contract of staged.contracts) {
    const { name, time } = contract.contract;
    const dates = await sql.rows<{ day: string; low: string; high: string }>(
      `SELECT ${ident(time)}::DATE::VARCHAR AS day, min(${ident(time)})::VARCHAR AS low, max(${ident(time)})::VARCHAR AS high
       FROM ${ident(`fresh_${name}`)} GROUP BY 1 ORDER BY count(*) DESC, 1`,
    );
    const own = dates.length <= datesABatch ? dates : dates.slice(0, datesABatch - 1);
    const rest = dates.slice(own.length);
    for (const { day, low, high } of own) {
      // Most batches lie within a day: no filter then.
      const query =
        dates.length === 1 ? contract.clean : `${contract.clean} WHERE f.${ident(time)}::DATE = '${day}'`;
      const path = `clean/${name}/date=${day}/${batchFile(staged.plan.batch)}`;
      files.push(await lake.write(sql, query, { zone: "clean", name, path, minTime: low, maxTime: high }));
    }
    if (rest.length > 0) {
      const query = `${contract.clean} WHERE f.${ident(time)}::DATE NOT IN (${own.map(({ day }) => `'${day}'`).join(", ")})`;
      const bounds = await sql.row<{ low: string; high: string }>(
        `SELECT min(t)::VARCHAR AS low, max(t)::VARCHAR AS high FROM (
           SELECT ${ident(time)} AS t FROM ${ident(`fresh_${name}`)})
         WHERE t::DATE NOT IN (${own.map(({ day }) => `'${day}'`).join(", ")})`,
      );
      const path = `clean/${name}/date=mixed/${batchFile(staged.plan.batch)}`;
      files.push(
        await lake.write(sql, query, {
          zone: "clean",
          name,
          path,
          minTime: bounds.low,
          maxTime: bounds.high,
        }),
      );
    }
  }
  return files;
}

async function storeIds(sql: Sql, staged: StagedBatch, commit: number): Promise<void> {
  for (const contract of staged.contracts) {
    await sql.run(`INSERT INTO db.weir.id_recent
      SELECT h0, h1, h2, h3, t, _content, ${commit} FROM ${idsTable(contract)} WHERE _key NOT IN (SELECT _key FROM duplicates)`);
  }
}

/**
 * Conservation of the batch, from places that do not know of each other: received from the lines, loaded from what
 * the Parquet writer says it wrote, duplicates from the id index, quarantined from the quarantine.
 *
 * @throws WeirError `conservation_broken`
 */
async function countOutcomes(
  sql: Sql,
  staged: StagedBatch,
  takenBack: readonly TakenBack[],
  clean: readonly LakeFile[],
): Promise<OutcomeCount[]> {
  const counts = new Map<string, OutcomeCount>();
  const at = (source: string, contract: string): OutcomeCount => {
    const key = `${source}\n${contract}`;
    const known = counts.get(key);
    if (known !== undefined) return known;
    const fresh = { source, contract, received: 0, loaded: 0, duplicate: 0, quarantined: 0, suppressed: 0 };
    counts.set(key, fresh);
    return fresh;
  };
  for (const { source, contract, received, quarantined, suppressed } of staged.received) {
    const count = at(source, contract);
    count.received += received;
    count.quarantined += quarantined;
    count.suppressed += suppressed;
  }
  for (const { contract } of staged.contracts) {
    const rows = await sql.rows<{ source: string; loaded: number; duplicate: number }>(
      `SELECT s.source, count(*) FILTER (WHERE d._key IS NULL)::DOUBLE AS loaded, count(d._key)::DOUBLE AS duplicate
       FROM ${ident(`rows_${contract.name}`)} r JOIN segments s ON s.seg = r._seg
       LEFT JOIN duplicates d ON d._key = r._key WHERE r._ok GROUP BY ALL`,
    );
    for (const { source, loaded, duplicate } of rows) {
      const count = at(source, contract.name);
      count.loaded += loaded;
      count.duplicate += duplicate;
    }
    const loaded = rows.reduce((sum, row) => sum + row.loaded, 0);
    const written = clean
      .filter((file) => file.name === contract.name)
      .reduce((sum, file) => sum + file.rows, 0);
    if (loaded !== written)
      throw conservationBroken(`${contract.name}: ${loaded} rows are new, ${written} were written`);
  }
  for (const { source, contract, received, loaded, duplicate, quarantined, suppressed } of counts.values()) {
    if (received !== loaded + duplicate + quarantined + suppressed) {
      throw conservationBroken(
        `${source}, ${contract}: ${received} received, but ${loaded} loaded, ${duplicate} duplicate, ${quarantined} quarantined`,
      );
    }
  }
  const sealed = staged.plan.segments.reduce((sum, segment) => sum + segment.records, 0);
  const received = [...counts.values()].reduce((sum, count) => sum + count.received, 0);
  const before = staged.again?.records ?? 0;
  if (sealed + before !== received)
    throw conservationBroken(`the segments hold ${sealed + before} records, ${received} were counted`);
  for (const { source, contract, ...counted } of staged.again?.counts ?? []) {
    const count = at(source, contract);
    for (const [name, n] of Object.entries(counted)) count[name as keyof typeof counted] += n;
  }
  for (const { source, contract, records } of takenBack) {
    const count = at(source, contract);
    count.loaded -= records;
    count.duplicate += records;
  }
  return [...counts.values()];
}

const conservationBroken = (what: string): WeirError =>
  new WeirError("conservation_broken", `A batch does not add up: ${what}. Nothing of it was committed.`);

async function writeSystemTables(
  sql: Sql,
  staged: StagedBatch,
  files: readonly LakeFile[],
  counts: readonly OutcomeCount[],
): Promise<void> {
  const { plan } = staged;
  const commit = plan.batch;
  const values = counts.map(
    (c) =>
      `(${text(c.source)}, ${text(c.contract)}, ${c.received}, ${c.loaded}, ${c.duplicate}, ${c.quarantined}, ${c.suppressed})`,
  );
  const list = `(VALUES ${values.join(", ")}) s(source, contract, received, loaded, duplicate, quarantined, suppressed)`;
  const offsets = rangesOf(plan.segments).map(
    ({ source, writer, last }) => `(${text(source)}, ${text(writer)}, ${last})`,
  );
  const manifest = files.filter((file) => file.rows > 0).map((file) => manifestValues(file, commit));
  if (values.length > 0) {
    await sql.run(`
    MERGE INTO db.weir.counts t USING ${list} ON t.source = s.source AND t.contract = s.contract
      WHEN MATCHED THEN UPDATE SET received = t.received + s.received, loaded = t.loaded + s.loaded,
        duplicate = t.duplicate + s.duplicate, quarantined = t.quarantined + s.quarantined, suppressed = t.suppressed + s.suppressed
      WHEN NOT MATCHED THEN INSERT VALUES (s.source, s.contract, s.received, s.loaded, s.duplicate, s.quarantined, s.suppressed);
    INSERT INTO db.weir.commit_counts SELECT ${commit}, * FROM ${list}`);
  }
  if (offsets.length > 0) {
    await sql.run(`MERGE INTO db.weir.offsets t USING (VALUES ${offsets.join(", ")}) s(source, writer, number)
      ON t.source = s.source AND t.writer = s.writer
      WHEN MATCHED THEN UPDATE SET number = s.number
      WHEN NOT MATCHED THEN INSERT VALUES (s.source, s.writer, s.number)`);
  }
  // Those that were received before are in the raw zone.
  const suppressed =
    staged.again === undefined ? counts.reduce((sum, count) => sum + count.suppressed, 0) : 0;
  const replaced = (staged.again?.replaces ?? []).map(text).join(", ");
  if (replaced !== "") await sql.run(`DELETE FROM db.weir.files WHERE path IN (${replaced})`);
  await sql.run(`
    ${manifest.length > 0 ? `INSERT INTO db.weir.files VALUES ${manifest.join(", ")};` : ""}
    ${suppressed > 0 ? `${leaveOut("raw", suppressed)};` : ""}
    DELETE FROM db.weir.plans WHERE batch = ${commit};
    INSERT INTO db.weir.commits VALUES (${commit}, make_timestamp(${Date.now() * 1000}), ${plan.segments.length},
      ${newRecords(staged)}, ${staged.newestReceivedUs})`);
}
