import type { ContractProgram, Program } from "@weir/compile";
import { text } from "@weir/compile";
import { WeirError, readableBy, validator } from "@weir/contract";
import { failpoint } from "@weir/log";
import type { LogStore } from "@weir/log";
import type { Sql } from "./database.ts";
import { noSuppressed, suppress } from "./erase/suppression.ts";
import type { Suppression } from "./erase/suppression.ts";
import type { Lake, LakeFile } from "./lake.ts";
import { normalizeRecord } from "./normalize.ts";
import type { BatchPlan } from "./planner.ts";
import type { Staging } from "./privacy/assign.ts";
import { maskSentNames } from "./privacy/sent-names.ts";
import { takeOutPii } from "./privacy/tokenize.ts";
import type { Vault } from "./privacy/vault.ts";

/**
 * The first half of a batch: everything that depends on the records alone. Lines are read, routed to contracts, taken
 * apart and judged; raw and quarantine files are written. It changes no state, and of the state it reads who is erased
 * only, which no batch changes; so it runs while the batch before it commits.
 *
 * Everything is left in a schema of the batch's own in the in-memory database.
 */
export interface StagedBatch {
  readonly plan: BatchPlan;
  /** Of records that were received before; see tasks/quarantine-task.ts. */
  readonly again?: Again;
  readonly schema: string;
  /** Contracts that have valid rows. */
  readonly contracts: readonly ContractProgram[];
  readonly files: readonly LakeFile[];
  /** Records by source and contract, as the lines tell. */
  readonly received: readonly ReceivedCount[];
  readonly records: number;
  readonly newestReceivedUs: number;
  readonly timings: Readonly<Record<string, number>>;
}

export interface ReceivedCount extends Record<string, string | number> {
  source: string;
  contract: string;
  received: number;
  quarantined: number;
  /** Of erased persons: neither in the raw zone nor anywhere else. */
  suppressed: number;
}

/** What a batch whose records were received before does beside: they are not received again. */
export interface Again {
  /** How many of the batch's records were received before. */
  readonly records: number;
  /** What their outcomes were counted as, to be added to what the batch counts. */
  readonly counts: readonly OutcomeCount[];
  /** Files of the manifest whose place those of the batch take. */
  readonly replaces: readonly string[];
  /** Tables that it changes beside those that its records reach. */
  readonly tables?: readonly string[];
  /** Runs in the commit's transaction. */
  readonly alongside: (sql: Sql, counts: readonly OutcomeCount[]) => Promise<void>;
  /** Runs once that is committed, before any other commit. */
  readonly committed?: () => void;
}

export interface OutcomeCount {
  readonly source: string;
  readonly contract: string;
  received: number;
  loaded: number;
  duplicate: number;
  quarantined: number;
  suppressed: number;
}

/** How conservation names what no contract of the project takes. */
export const unknownContract = "(unknown)";

export interface StageContext {
  readonly program: Program;
  readonly store: LogStore;
  readonly lake: Lake;
  readonly suppression: Suppression;
  /** Undefined where no field of the project is personal. */
  readonly vault: Vault | undefined;
}

export async function stageBatch(sql: Sql, context: StageContext, plan: BatchPlan): Promise<StagedBatch> {
  const timings: Record<string, number> = {};
  const timed = async <T>(name: string, work: Promise<T>): Promise<T> => {
    const from = performance.now();
    const result = await work;
    timings[name] = (timings[name] ?? 0) + performance.now() - from;
    return result;
  };
  const schema = `b${plan.batch}`;
  await openStaging({ sql, schema });
  await timed("lines", readLines(sql, context, plan));
  failpoint("engine.stage.lines");
  const contracts = await judgeLines({ sql, schema }, context, timed);
  failpoint("engine.stage.rows");
  const files = await timed("raw", writeRaw(sql, context, plan));
  failpoint("engine.stage.raw");
  const quarantine = await timed("quarantine", writeQuarantine(sql, context.lake, plan));
  failpoint("engine.stage.quarantine");
  const received = await sql.rows<ReceivedCount>(receivedQuery);
  return {
    plan,
    schema,
    contracts,
    files: [...files, ...quarantine],
    received,
    records: received.reduce((sum, count) => sum + count.received, 0),
    newestReceivedUs: Math.max(...plan.segments.map((segment) => segment.lastReceivedUs)),
    timings,
  };
}

/** A batch without records, for what a commit is to do beside. */
export async function emptyCommit(
  sql: Sql,
  schema: string,
  batch: number,
  beside: Pick<Again, "alongside" | "tables" | "committed">,
): Promise<StagedBatch> {
  await openStaging({ sql, schema });
  return {
    plan: { batch, segments: [] },
    again: { records: 0, counts: [], replaces: [], ...beside },
    schema,
    contracts: [],
    files: [],
    received: [],
    records: 0,
    newestReceivedUs: 0,
    timings: {},
  };
}

/** An empty schema of the batch's own, first in the search path. */
export async function openStaging({ sql, schema }: Staging): Promise<void> {
  await sql.run(`DROP SCHEMA IF EXISTS memory.${schema} CASCADE; CREATE SCHEMA memory.${schema};
    SET search_path = 'memory.${schema},memory.main'`);
}

/**
 * Routes and judges what `segments` and `lines` hold, wherever they came from. Gives the contracts that have lines, and leaves
 * `rows_<contract>`, `ids_<contract>` and the view `quarantined`.
 */
export async function judgeLines(
  staging: Staging,
  context: Pick<StageContext, "program" | "suppression" | "vault">,
  timed: <T>(name: string, work: Promise<T>) => Promise<T> = (_, work) => work,
): Promise<ContractProgram[]> {
  const { sql } = staging;
  const { program, suppression } = context;
  const contracts = await timed("routes", routeLines(staging, program));
  for (const contract of contracts) {
    await timed("rows", sql.run(contract.rows.sql));
    await timed("judge", judgeUndecided(staging, contract));
  }
  await sql.run(`${rejectsTable}; ${noSuppressed}`);
  if (suppression.active) await timed("suppress", suppress(sql, suppression, contracts, unknownContract));
  await timed("privacy", takeOutPii(staging, context, contracts));
  for (const contract of contracts) await timed("ids", sql.run(contract.ids.sql));
  await sql.run(quarantinedView);
  return contracts;
}

const columns =
  "{line: 'UINTEGER', received: 'BIGINT', contract: 'VARCHAR', keys: 'INTEGER', nulls: 'INTEGER', error: 'VARCHAR', text: 'VARCHAR'}";

/** `segments` and `lines`. Throws `segment_corrupt` when a segment does not give the records that its seal states. */
async function readLines(sql: Sql, { store }: StageContext, plan: BatchPlan): Promise<void> {
  const rows = plan.segments.map(
    ({ source, writer, number }, seg) => `(${seg}, ${text(source)}, ${text(writer)}, ${number})`,
  );
  await sql.run(`CREATE TABLE segments (seg UINTEGER, source VARCHAR, writer VARCHAR, number UBIGINT);
    INSERT INTO segments VALUES ${rows.join(", ")}`);
  const reads: string[] = [];
  for (const [seg, ref] of plan.segments.entries()) {
    const path = await store.materialize(ref);
    // No line is longer than its segment: a bound that holds whatever the collectors' limits are. (Reading whole segments
    // costs what reading 8 MB at a time does.)
    const bytes = Math.max(1_048_576, ref.bytes + 1);
    reads.push(`SELECT ${seg}::UINTEGER AS seg, * FROM read_csv(${text(path)}, delim = '\\t', quote = '', escape = '',
      header = false, auto_detect = false, strict_mode = true, new_line = '\\n', max_line_size = ${bytes},
      buffer_size = ${bytes}, columns = ${columns})`);
  }
  await sql.run(`CREATE TABLE lines AS SELECT (seg::BIGINT << 32) | line AS _key, * FROM (${reads.join("\nUNION ALL\n")})
    WHERE line > 0`);
  const read = await sql.rows<{ seg: number; n: number }>(
    "SELECT seg::INTEGER AS seg, count(*)::DOUBLE AS n FROM lines GROUP BY seg",
  );
  const counts = new Map(read.map(({ seg, n }) => [seg, n]));
  for (const [seg, { source, writer, number, records }] of plan.segments.entries()) {
    if ((counts.get(seg) ?? 0) !== records) {
      throw new WeirError(
        "segment_corrupt",
        `The segment holds ${counts.get(seg) ?? 0} records; its seal says ${records}.`,
        {
          where: `${source}/${writer}/${number}`,
        },
      );
    }
  }
}

/** `routes`: what each name that a record was sent under means to its source. Gives the contracts that have lines. */
async function routeLines({ sql, schema }: Staging, program: Program): Promise<ContractProgram[]> {
  if (program.privacy.detect)
    await maskSentNames(sql, (source, name) => resolveRoute(program, source, name).reason);
  const sent = await sql.rows<{ source: string; sent: string | null }>(
    `SELECT DISTINCT s.source, l.contract AS sent FROM lines l JOIN segments s USING (seg) WHERE l.error IS NULL`,
  );
  await sql.run(`CREATE TABLE routed (source VARCHAR, sent VARCHAR, contract VARCHAR, reason VARCHAR)`);
  const found = new Set<string>();
  const appender = await sql.connection.createAppender("routed", schema, "memory");
  for (const { source, sent: name } of sent) {
    const { contract, reason } = resolveRoute(program, source, name);
    for (const value of [source, name, contract ?? null, reason ?? null]) {
      if (value === null) appender.appendNull();
      else appender.appendVarchar(value);
    }
    appender.endRow();
    if (contract !== undefined) found.add(contract);
  }
  appender.closeSync();
  await sql.run(
    "CREATE TABLE routes AS SELECT s.seg, r.sent, r.contract, r.reason FROM segments s JOIN routed r USING (source)",
  );
  return program.contracts.filter(({ contract }) => found.has(contract.name));
}

/** What the name that a record was sent under means to its source: a contract, or the reason why none takes it. */
export function resolveRoute(
  program: Program,
  source: string,
  sent: string | null,
): { contract?: string; reason?: string } {
  if (sent === null) return { reason: "unknown_contract" };
  const at = sent.indexOf("@");
  const name = at < 0 ? sent : sent.slice(0, at);
  const names = new Set(program.sources[source] ?? []);
  const contract = program.contracts
    .map((program) => program.contract)
    .find(
      (candidate) =>
        names.has(candidate.name) && (candidate.name === name || candidate.aliases.includes(name)),
    );
  if (contract === undefined) return { reason: "unknown_contract" };
  if (at >= 0 && !readableBy(sent.slice(at + 1), contract)) return { reason: "unknown_version" };
  return { contract: contract.name };
}

const rejectsTable = "CREATE TABLE IF NOT EXISTS rejects (_key BIGINT, contract VARCHAR, violations VARCHAR)";

/** Ajv's verdict on what SQL did not accept: accepted records become rows, the others rejects with their violations. */
async function judgeUndecided(
  { sql, schema }: Staging,
  { contract, model, undecided, fixes }: ContractProgram,
): Promise<void> {
  await sql.run(`${rejectsTable};
    CREATE TABLE IF NOT EXISTS fixes (_key BIGINT, contract VARCHAR, text VARCHAR, extra VARCHAR)`);
  const judge = validator(contract);
  const result = await sql.held(undecided);
  const rejected = await sql.connection.createAppender("rejects", schema, "memory");
  const fixed = await sql.connection.createAppender("fixes", schema, "memory");
  let accepted = 0;
  for (;;) {
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) break;
    for (const [key, line] of chunk.getRows() as [bigint, string][]) {
      const record: unknown = JSON.parse(line);
      const violations = judge(record);
      const appender = violations.length > 0 ? rejected : fixed;
      appender.appendBigInt(key);
      appender.appendVarchar(contract.name);
      if (violations.length > 0) appender.appendVarchar(JSON.stringify(violations));
      else {
        const { text: normal, extra } = normalizeRecord(model.judged, line);
        appender.appendVarchar(normal);
        if (extra === null) appender.appendNull();
        else appender.appendVarchar(extra);
        accepted++;
      }
      appender.endRow();
    }
  }
  rejected.closeSync();
  fixed.closeSync();
  if (accepted > 0) await sql.run(fixes.sql);
}

export const batchFile = (batch: number): string => `b${String(batch).padStart(12, "0")}.parquet`;

/** Everything received, by source and day of receipt; replayable as it is. */
async function writeRaw(sql: Sql, { lake }: StageContext, plan: BatchPlan): Promise<LakeFile[]> {
  const files: LakeFile[] = [];
  const sources = new Set(plan.segments.map((segment) => segment.source));
  for (const source of sources) {
    const span = await sql.row<{ low: string | null; high: string | null; day: string | null }>(
      `SELECT make_timestamp(min(received))::VARCHAR AS low, make_timestamp(max(received))::VARCHAR AS high,
         make_timestamp(min(received))::DATE::VARCHAR AS day
       FROM lines JOIN segments USING (seg) WHERE source = ${text(source)}`,
    );
    // All of them may be of erased persons.
    if (span.low === null || span.high === null) continue;
    const query = `SELECT writer, number, line, make_timestamp(received) AS received_at, contract, keys, nulls, error, text, content
      FROM kept_lines JOIN segments USING (seg) ${sources.size === 1 ? "" : `WHERE seg IN (${segmentsOf(plan, source).join(", ")})`}`;
    files.push(
      await lake.write(sql, query, {
        zone: "raw",
        name: source,
        path: `raw/${source}/date=${span.day}/${batchFile(plan.batch)}`,
        minTime: span.low,
        maxTime: span.high,
      }),
    );
  }
  return files;
}

/** By their numbers within the batch, so that only their lines are read. */
const segmentsOf = (plan: BatchPlan, source: string): number[] =>
  plan.segments.flatMap((segment, seg) => (segment.source === source ? [seg] : []));

/** Unreadable lines, lines that no contract takes, and records that their contract rejects, each with its reason. */
const quarantinedView = `    CREATE VIEW quarantined AS
    SELECT l._key, l.seg, l.line, l.received, l.contract AS sent, r.contract,
      CASE WHEN l.error IS NOT NULL THEN split_part(l.error, ':', 1)
        WHEN r.reason IS NOT NULL THEN r.reason ELSE 'contract_violation' END AS reason,
      CASE WHEN contains(l.error, ': ') THEN substr(l.error, strpos(l.error, ': ') + 2) END AS detail,
      j.violations, l.text, l.error IS NOT NULL AS is_base64
    FROM lines l
    LEFT JOIN routes r ON l.error IS NULL AND r.seg = l.seg AND r.sent IS NOT DISTINCT FROM l.contract
    LEFT JOIN rejects j ON j._key = l._key
    WHERE l.error IS NOT NULL OR r.reason IS NOT NULL OR j._key IS NOT NULL`;

/** What `quarantined` holds, as the quarantine has it but for when and how often it was tried. */
export const quarantinedRows = `SELECT source, writer, number, line, make_timestamp(received) AS received_at, contract, sent, reason,
      detail, violations, CASE WHEN NOT is_base64 THEN text END AS text, CASE WHEN is_base64 THEN text END AS base64
    FROM quarantined JOIN segments USING (seg)`;

async function writeQuarantine(sql: Sql, lake: Lake, plan: BatchPlan): Promise<LakeFile[]> {
  const query = `SELECT *, ${plan.batch}::UBIGINT AS received_commit, 1::UINTEGER AS attempts FROM (${quarantinedRows})`;
  return await writeQuarantineFile(sql, lake, query, batchFile(plan.batch));
}

/** Writes the rows of a query into the quarantine zone, if there are any. */
export async function writeQuarantineFile(
  sql: Sql,
  lake: Lake,
  query: string,
  name: string,
): Promise<LakeFile[]> {
  const span = await sql.row<{ low: string | null; high: string | null; day: string | null }>(
    `SELECT min(received_at)::VARCHAR AS low, max(received_at)::VARCHAR AS high, min(received_at)::DATE::VARCHAR AS day FROM (${query})`,
  );
  if (span.low === null || span.high === null) return [];
  const path = `quarantine/date=${span.day}/${name}`;
  return [
    await lake.write(sql, query, {
      zone: "quarantine",
      name: "",
      path,
      minTime: span.low,
      maxTime: span.high,
    }),
  ];
}

/** Records of the batch, and those of them that are quarantined or suppressed, by source and contract. */
export const receivedQuery = `SELECT s.source, coalesce(r.contract, '${unknownContract}') AS contract,
  count(*)::DOUBLE AS received, count(q._key)::DOUBLE AS quarantined, 0::DOUBLE AS suppressed
FROM lines l JOIN segments s USING (seg)
LEFT JOIN routes r ON l.error IS NULL AND r.seg = l.seg AND r.sent IS NOT DISTINCT FROM l.contract
LEFT JOIN quarantined q ON q._key = l._key
GROUP BY ALL
UNION ALL SELECT source, contract, records, 0, records FROM suppressed_counts`;
