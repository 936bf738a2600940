import { failpoint } from "@weir/log";
import type { Sql } from "../database.ts";
import { rawWithoutSuppressed } from "../erase/kept-out.ts";
import { leaveOut } from "../erase/schema.ts";
import {
  judgeLines,
  openStaging,
  quarantinedRows,
  receivedQuery,
  unknownContract,
  writeQuarantineFile,
} from "../stage.ts";
import type { OutcomeCount, ReceivedCount, StagedBatch } from "../stage.ts";
import { readStored } from "../stored-lines.ts";
import { quarantineColumns } from "../views.ts";
import { progressSql } from "./ledger.ts";
import type { TaskArguments, TaskProgress } from "./ledger.ts";
import { areListed, filesWith, quarantineRows, selectionSql, splitFile } from "./quarantine-files.ts";
import type { QuarantineFile } from "./quarantine-files.ts";
import { pauseAfter } from "./runner.ts";
import type { TaskHost, TaskKind, TaskRun } from "./runner.ts";

/** What a task does with the records of the quarantine that it is about. */
type Action = "reprocess" | "discard";

/**
 * Puts records of the quarantine through today's program, or takes them out of it for good.
 *
 * Invariants. A record leaves the quarantine in the transaction that gives it its other outcome, so it has one outcome at every
 * commit. Its place in the log stays its name: raw holds it once. What a task is about is what was received up to the commit at which it was asked for and
 * is in quarantine, less the records of erased persons, which leave raw with the quarantine; each of these records is tried once, which its row notes (`task`), so that the rows that are left tell what is left to do, and a
 * task that a crash or a restart interrupts needs nothing else to go on.
 *
 * In chunks: the files that have such records are written again without those that left, and with the new reasons of those that failed again; the new files take the place of the old
 * ones in the commit. A file that another step replaced meanwhile is looked at again. Crash points: before COMMIT nothing happened, as new files count once the manifest
 * lists them; they have the names that the chunk gives them again. After COMMIT all did.
 */
export class QuarantineTask implements TaskKind {
  readonly kind: string;
  readonly #action: Action;
  readonly #chunkRows: number;

  /** @param chunkRows rows of the files that one commit writes again, about */
  constructor(action: Action, chunkRows: number) {
    this.kind = `quarantine.${action}`;
    this.#action = action;
    this.#chunkRows = chunkRows;
  }

  async run(run: TaskRun): Promise<"done"> {
    const { host, task, signal } = run;
    const condition = eligibleSql(this.#action, task.arguments, task.id);
    const share = Number(task.arguments["share"] ?? 1);
    const sql = await host.connect();
    const release = host.files.keep("quarantine");
    let progress = task.progress;
    try {
      for (;;) {
        const files = await filesWith(sql, host.lake, condition);
        if (files.length === 0) return "done";
        for (const chunk of chunksOf(files, this.#chunkRows)) {
          if (signal.aborted) return "done";
          const from = performance.now();
          const [file] = chunk;
          if (file !== undefined && file.rows > this.#chunkRows) {
            await splitFile(sql, host, file, this.#chunkRows);
            break;
          }
          const done = await this.#chunk(sql, run, chunk, progress, condition);
          if (done === undefined) break;
          progress = done;
          await pauseAfter(performance.now() - from, share, signal);
        }
      }
    } finally {
      release();
      sql.close();
    }
  }

  /** Commits one chunk and gives the progress after it; undefined where the files are not there any more. */
  async #chunk(
    sql: Sql,
    { host, task }: TaskRun,
    files: readonly QuarantineFile[],
    before: TaskProgress,
    condition: string,
  ): Promise<TaskProgress | undefined> {
    const from = performance.now();
    const schema = `t${task.id}`;
    const paths = files.map(({ path }) => path);
    const { changes } = host.suppression;
    await openStaging({ sql, schema });
    await sql.run(`CREATE TABLE rest AS SELECT * EXCLUDE (filename) FROM (${quarantineRows(host.lake, paths)});
      CREATE TABLE picked AS SELECT * FROM rest WHERE ${condition};
      DELETE FROM rest WHERE ${condition}`);
    const taken =
      await sql.rows<ReceivedCount>(`SELECT source, coalesce(contract, '${unknownContract}') AS contract,
      count(*)::DOUBLE AS received, count(*)::DOUBLE AS quarantined FROM picked GROUP BY ALL`);
    const records = taken.reduce((sum, { received }) => sum + received, 0);
    const name = `t${task.id}-${(before.counts["steps"] ?? 0) + 1}.parquet`;
    const { outOfRaw, ...staged } =
      this.#action === "reprocess"
        ? await judged(sql, schema, host, task.id, name)
        : await untouched(sql, schema, host, name);
    failpoint("engine.task.staged");
    const replaces = [...paths, ...outOfRaw.paths];
    let after: TaskProgress | undefined;
    const again = {
      records: this.#action === "reprocess" ? records : 0,
      counts: taken.map((count) => outOfQuarantine(this.#action, count)),
      replaces,
      alongside: async (commitSql: Sql, counts: readonly OutcomeCount[]): Promise<void> => {
        after = progressAfter(this.#action, before, records, counts, performance.now() - from);
        if (this.#action === "discard") {
          await commitSql.run(`INSERT INTO db.weir.discarded SELECT source, writer, number, line, ${task.id}
            FROM memory.${schema}.picked`);
        }
        if (outOfRaw.rows > 0) await commitSql.run(leaveOut("raw", outOfRaw.rows));
        await commitSql.run(progressSql(task.id, after));
      },
    };
    const committed = await host.commit(async (batch) =>
      host.suppression.changes === changes && (await areListed(sql, replaces))
        ? { ...staged, plan: { batch, segments: [] }, again }
        : undefined,
    );
    if (committed === undefined) {
      await sql.run(`SET search_path = 'memory.main'; DROP SCHEMA memory.${schema} CASCADE`);
      return undefined;
    }
    host.files.replaced.add(replaces, Date.now());
    failpoint("engine.task.committed");
    return after;
  }
}

/** The rows of the quarantine that a task has still to do with. */
export function eligibleSql(action: Action, args: TaskArguments, task: number): string {
  // What cannot be read stays unreadable, whatever the contracts are.
  const readable = action === "reprocess" ? " AND base64 IS NULL" : "";
  return `${selectionSql(args)} AND coalesce(received_commit, 0) <= ${Number(args["before"])}
    AND task IS DISTINCT FROM ${task}${readable}`;
}

/** As many files as have about so many rows together. */
function* chunksOf(files: readonly QuarantineFile[], mostRows: number): Generator<QuarantineFile[]> {
  let chunk: QuarantineFile[] = [];
  let rows = 0;
  for (const file of files) {
    if (chunk.length > 0 && rows + file.rows > mostRows) {
      yield chunk;
      chunk = [];
      rows = 0;
    }
    chunk.push(file);
    rows += file.rows;
  }
  if (chunk.length > 0) yield chunk;
}

interface Staged extends Omit<StagedBatch, "plan" | "again"> {
  /** Files of the raw zone that are written again without records of erased persons, and how many these are. */
  readonly outOfRaw: { readonly paths: readonly string[]; readonly rows: number };
}

/** Judges the picked records by the program, and writes what fails again beside the rows that nobody picked. */
async function judged(sql: Sql, schema: string, host: TaskHost, task: number, name: string): Promise<Staged> {
  await readStored(
    { sql, schema },
    host.vault,
    "SELECT source, writer, number, line, received_at, sent, NULL::VARCHAR AS error, text FROM picked",
  );
  const contracts = await judgeLines({ sql, schema }, host);
  const files = await writeQuarantineFile(
    sql,
    host.lake,
    `SELECT ${quarantineColumns.map(([column]) => column).join(", ")} FROM rest UNION ALL BY NAME
     SELECT n.*, p.received_commit, p.attempts + 1 AS attempts, ${task}::UBIGINT AS task
     FROM (${quarantinedRows}) n JOIN picked p USING (source, writer, number, line)`,
    name,
  );
  const received = await sql.rows<ReceivedCount>(receivedQuery);
  const records = received.reduce((sum, count) => sum + count.received, 0);
  const raw = await rawWithoutSuppressed(sql, host.lake);
  const places = raw.files.places();
  return {
    schema,
    contracts,
    files: [...files, ...places.files],
    received,
    records,
    newestReceivedUs: 0,
    timings: {},
    outOfRaw: { paths: places.replaced, rows: raw.rows },
  };
}

/** Writes the rows that nobody picked. */
async function untouched(sql: Sql, schema: string, { lake }: TaskHost, name: string): Promise<Staged> {
  const files = await writeQuarantineFile(sql, lake, "SELECT * FROM rest", name);
  const outOfRaw = { paths: [], rows: 0 };
  return {
    schema,
    contracts: [],
    files,
    received: [],
    records: 0,
    newestReceivedUs: 0,
    timings: {},
    outOfRaw,
  };
}

/** What the counts lose, and gain, as records leave the quarantine. */
function outOfQuarantine(action: Action, { source, contract, received: n }: ReceivedCount): OutcomeCount {
  const none = { source, contract, received: 0, loaded: 0, duplicate: 0, quarantined: -n, suppressed: 0 };
  return action === "discard" ? { ...none, suppressed: n } : { ...none, received: -n };
}

function progressAfter(
  action: Action,
  { done, total, busyMs, counts: before }: TaskProgress,
  records: number,
  counts: readonly OutcomeCount[],
  ms: number,
): TaskProgress {
  const sum = (name: "loaded" | "duplicate" | "quarantined" | "suppressed"): number =>
    counts.reduce((all, count) => all + count[name], 0);
  const add = (name: string, n: number): [string, number] => [name, (before[name] ?? 0) + n];
  const outcomes: [string, number][] =
    action === "discard"
      ? [add("discarded", records)]
      : [
          add("loaded", sum("loaded")),
          add("duplicate", sum("duplicate")),
          add("quarantined again", records + sum("quarantined")),
          ...(sum("suppressed") === 0 ? [] : [add("suppressed", sum("suppressed"))]),
        ];
  return {
    done: done + records,
    total: Math.max(total, done + records),
    unit: "records",
    busyMs: Math.round(busyMs + ms),
    counts: Object.fromEntries([...outcomes, add("steps", 1)]),
  };
}

/** What a task of a quarantine would do. */
export interface QuarantinePlan {
  readonly records: number;
  /** By source, contract and reason. */
  readonly groups: readonly {
    readonly source: string;
    readonly contract: string | null;
    readonly reason: string;
    readonly records: number;
  }[];
  /** Records that cannot be read, and so not be judged again. */
  readonly unreadable: number;
  /** The files that would be written again. */
  readonly files: number;
  readonly bytes: number;
}

export async function planQuarantine(
  sql: Sql,
  { lake }: Pick<TaskHost, "lake">,
  action: Action,
  args: TaskArguments,
): Promise<QuarantinePlan> {
  const condition = eligibleSql(action, args, 0);
  const files = await filesWith(sql, lake, condition);
  const paths = files.map(({ path }) => path);
  const groups = await sql.rows<{ source: string; contract: string | null; reason: string; records: number }>(
    `SELECT source, coalesce(contract, sent) AS contract, reason, count(*)::DOUBLE AS records
     FROM (${quarantineRows(lake, paths)}) WHERE ${condition} GROUP BY ALL ORDER BY records DESC, 1, 2, 3`,
  );
  const all = await filesWith(sql, lake, `${selectionSql(args)} AND base64 IS NOT NULL`);
  return {
    records: groups.reduce((sum, { records }) => sum + records, 0),
    groups,
    unreadable: action === "reprocess" ? all.reduce((sum, { eligible }) => sum + eligible, 0) : 0,
    files: files.length,
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}
