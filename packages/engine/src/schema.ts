import { randomBytes } from "node:crypto";
import { WeirError } from "@weir/contract";
import { failpoint } from "@weir/log";
import { changesSchema } from "./changes/gone.ts";
import type { Sql } from "./database.ts";
import type { Vault } from "./privacy/vault.ts";
import { barriersSchema } from "./shadow/barriers.ts";
import { tasksSchema } from "./tasks/ledger.ts";
import { eraseSchema, subjectSalt } from "./erase/schema.ts";

/** Version of the layout below. A state file of another version is refused, never guessed at. */
const layout = "1";

/**
 * What the engine keeps, all in one DuckDB file and changed only by commits:
 *
 *   plans      batches that were planned and may not be committed yet: a restart runs exactly these ranges again
 *   offsets    the last segment consumed of each stream
 *   commits    one row a commit
 *   counts     conservation: running totals by source and contract
 *   commit_counts   the same for each commit (kept for 30 days)
 *   files      the manifest: every file of the lake that counts
 *   superseded records of the clean zone that another record with the same id took the place of
 *   id_recent, id_runs   see ids/id-index.ts
 *   contracts  the columns that each contract has had (see contract-columns.ts)
 *   tables     which definition each table's state was built by
 *   aside      tables that are not brought up to date, since which commit and why; see aside.ts
 *   clean_edges     up to which event time contracts have lost records of the clean zone (see removed-history.ts)
 *   removed    rows that retention took from each zone
 *   history_borders up to when histories of entities are cut off, and up to when what then is not needed has gone (see history-retention.ts)
 *   partial_tables  tables that were built after records of theirs had gone
 *   tasks      what operators asked for, and how far it is (see tasks/ledger.ts)
 *   barriers   commits at which files of the clean zone stay apart (see shadow/barriers.ts)
 *   discarded  places in the log of records that were taken out of the quarantine for good, and by which task
 *   changes    from where each table can be followed (see changes/gone.ts)
 *
 * and what erasures keep; see erase/schema.ts
 */
const statements = [
  `CREATE SCHEMA IF NOT EXISTS db.weir`,
  `CREATE SCHEMA IF NOT EXISTS db.state`,
  `CREATE TABLE IF NOT EXISTS db.weir.meta (key VARCHAR PRIMARY KEY, value VARCHAR)`,
  `CREATE TABLE IF NOT EXISTS db.weir.plans (batch UBIGINT, source VARCHAR, writer VARCHAR, first_number UBIGINT, last_number UBIGINT)`,
  `CREATE TABLE IF NOT EXISTS db.weir.offsets (source VARCHAR, writer VARCHAR, number UBIGINT)`,
  `CREATE TABLE IF NOT EXISTS db.weir.commits ("commit" UBIGINT, committed_at TIMESTAMP, segments UBIGINT, records UBIGINT, newest_received_us BIGINT)`,
  `CREATE TABLE IF NOT EXISTS db.weir.counts (source VARCHAR, contract VARCHAR, received BIGINT, loaded BIGINT, duplicate BIGINT, quarantined BIGINT, suppressed BIGINT)`,
  `CREATE TABLE IF NOT EXISTS db.weir.commit_counts ("commit" UBIGINT, source VARCHAR, contract VARCHAR, received BIGINT, loaded BIGINT, duplicate BIGINT, quarantined BIGINT, suppressed BIGINT)`,
  `CREATE TABLE IF NOT EXISTS db.weir.files (zone VARCHAR, name VARCHAR, path VARCHAR, "commit" UBIGINT, "rows" UBIGINT, bytes UBIGINT, crc32 UBIGINT, min_time TIMESTAMP, max_time TIMESTAMP)`,
  `CREATE TABLE IF NOT EXISTS db.weir.superseded (contract VARCHAR, id VARCHAR, source VARCHAR, writer VARCHAR, number UBIGINT, line UINTEGER, "commit" UBIGINT)`,
  `CREATE TABLE IF NOT EXISTS db.weir.id_recent (h0 UINTEGER, h1 UINTEGER, h2 UINTEGER, h3 UINTEGER, t BIGINT, content UBIGINT, "commit" UBIGINT)`,
  `CREATE TABLE IF NOT EXISTS db.weir.id_runs (path VARCHAR, ids UBIGINT, newest_received_us BIGINT, seq UBIGINT)`,
  `CREATE TABLE IF NOT EXISTS db.weir.contracts (name VARCHAR PRIMARY KEY, columns JSON)`,
  `CREATE TABLE IF NOT EXISTS db.weir.tables (name VARCHAR, hash VARCHAR, state_tables VARCHAR[])`,
  `CREATE TABLE IF NOT EXISTS db.weir.aside (name VARCHAR, reason VARCHAR, since UBIGINT)`,
  `CREATE TABLE IF NOT EXISTS db.weir.clean_edges (contract VARCHAR PRIMARY KEY, edge_us BIGINT)`,
  `CREATE TABLE IF NOT EXISTS db.weir.removed (zone VARCHAR, source VARCHAR, contract VARCHAR, "rows" BIGINT)`,
  `CREATE TABLE IF NOT EXISTS db.weir.history_borders (name VARCHAR PRIMARY KEY, border TIMESTAMP, pruned TIMESTAMP)`,
  `CREATE TABLE IF NOT EXISTS db.weir.partial_tables (name VARCHAR PRIMARY KEY, since VARCHAR)`,
  changesSchema,
  tasksSchema,
  barriersSchema,
  `CREATE TABLE IF NOT EXISTS db.weir.discarded (source VARCHAR, writer VARCHAR, number UBIGINT, line UINTEGER, task UBIGINT)`,
  ...eraseSchema,
];

/** The file's secrets: of the hashes by which ids are known, and of those of persons. */
export interface Salts {
  readonly ids: string;
  readonly subjects: string;
}

/** Lets a connection stage batches. */
export async function prepareStaging(
  sql: Sql,
  { ids, subjects }: Salts,
  vault: Vault | undefined,
): Promise<void> {
  await sql.run(`SET VARIABLE weir_salt = '${ids}'; SET VARIABLE weir_subject_salt = '${subjects}';
    SET search_path = 'memory.main'`);
  await vault?.prepare(sql);
}

/** Creates what is missing and gives the file's salts. @throws WeirError `state_version` */
export async function prepareSchema(sql: Sql): Promise<Salts> {
  for (const statement of statements) {
    await sql.run(statement);
    failpoint("engine.open.schema_statement");
  }
  await sql.run(`INSERT INTO db.weir.meta VALUES ('layout', '${layout}'),
    ('salt', '${randomBytes(16).toString("hex")}') ON CONFLICT DO NOTHING`);
  const meta = await sql.rows<{ key: string; value: string }>("SELECT key, value FROM db.weir.meta");
  const found = new Map(meta.map(({ key, value }) => [key, value]));
  if (found.get("layout") !== layout) {
    throw new WeirError(
      "state_version",
      `The state file has layout ${found.get("layout")}; this Weir needs ${layout}.`,
    );
  }
  failpoint("engine.open.schema");
  return { ids: found.get("salt") ?? "", subjects: await subjectSalt(sql) };
}
