import type { Program } from "@weir/compile";
import { ident } from "@weir/compile";
import type { Committed } from "./commit.ts";
import { storedAside } from "./aside.ts";
import type { Database, Sql } from "./database.ts";
import type { Planner } from "./planner.ts";
import type { MirrorStatus } from "./serve/mirror.ts";
import type { TaskInfo } from "./tasks/ledger.ts";

export interface OutcomeStatus extends Record<string, string | number> {
  source: string;
  contract: string;
  received: number;
  loaded: number;
  duplicate: number;
  quarantined: number;
  suppressed: number;
}

export interface EngineStatus {
  readonly project: string;
  /** Number of the last commit; 0 before the first. */
  readonly commit: number;
  /** ISO 8601, UTC. */
  readonly committedAt: string | null;
  /** What is sealed in the log and not committed. */
  readonly lag: {
    readonly segments: number;
    readonly records: number;
    readonly bytes: number;
    readonly oldestMs: number;
  };
  /** Committed records by source and contract; received = loaded + duplicate + quarantined + suppressed. */
  readonly counts: readonly OutcomeStatus[];
  readonly tables: readonly {
    readonly name: string;
    readonly kind: string;
    readonly rows: number;
    /** What an operator should know of its content. */
    readonly concerns: readonly string[];
  }[];
  readonly ids: {
    readonly known: number;
    readonly recent: number;
    readonly runs: number;
    readonly memoryBytes: number;
  };
  readonly lake: readonly {
    readonly zone: string;
    readonly files: number;
    readonly rows: number;
    readonly bytes: number;
  }[];
  /** Rows that retention removed from each zone. */
  readonly removed: readonly { readonly zone: string; readonly rows: number }[];
  /** Requests to erase that are not complete, those of them past their deadline, and the next deadline (ISO 8601, UTC). */
  readonly erasures: { readonly open: number; readonly late: number; readonly nextDeadline: string | null };
  /** Over the commits of the last 10 seconds. */
  readonly recordsPerSecond: number;
  /** Tables that are looked up, and the copies that answer. */
  readonly lookups: readonly MirrorStatus[];
  /** Tasks that have not ended, newest first. */
  readonly tasks: readonly TaskInfo[];
  /** Of the last commit, in ms. */
  readonly timings: Readonly<Record<string, number>>;
}

/** The part of the status that the state file holds. */
export async function readStatus(database: Database, program: Program): Promise<StoredStatus> {
  const sql = await database.connect();
  try {
    return await storedStatus(sql, program);
  } finally {
    sql.close();
  }
}

type StoredStatus = Pick<
  EngineStatus,
  "commit" | "committedAt" | "counts" | "tables" | "lake" | "erasures" | "removed"
>;

/** What is sealed and in no plan, as a status says it. */
export function lagOf({
  segments,
  records,
  bytes,
  oldestReceivedUs,
}: Planner["waiting"]): EngineStatus["lag"] {
  const oldestMs = oldestReceivedUs === undefined ? 0 : Math.max(0, Date.now() - oldestReceivedUs / 1000);
  return { segments, records, bytes, oldestMs };
}

async function storedStatus(sql: Sql, program: Program): Promise<StoredStatus> {
  const { commit, at } = await sql.row<{ commit: number; at: string | null }>(
    `SELECT coalesce(max("commit"), 0)::DOUBLE AS "commit", strftime(max(committed_at), '%Y-%m-%dT%H:%M:%S.%gZ') AS at
     FROM db.weir.commits`,
  );
  const counts = await sql.rows<OutcomeStatus>(
    `SELECT source, contract, received::DOUBLE AS received, loaded::DOUBLE AS loaded, duplicate::DOUBLE AS duplicate,
       quarantined::DOUBLE AS quarantined, suppressed::DOUBLE AS suppressed
     FROM db.weir.counts ORDER BY source, contract`,
  );
  const lake = await sql.rows<{ zone: string; files: number; rows: number; bytes: number }>(
    `SELECT zone, count(*)::DOUBLE AS files, sum("rows")::DOUBLE AS "rows", sum(bytes)::DOUBLE AS bytes
     FROM db.weir.files GROUP BY zone ORDER BY zone`,
  );
  const tables = [];
  const aside = await storedAside(sql);
  const partial = await sql.rows<{ name: string; since: string }>(
    "SELECT name, since FROM db.weir.partial_tables",
  );
  for (const { name, kind, concerns } of program.tables) {
    const { rows } = await sql.row<{ rows: number }>(
      `SELECT count(*)::DOUBLE AS "rows" FROM db.main.${ident(name)}`,
    );
    const found = concerns === undefined ? [] : await sql.rows<{ concern: string }>(concerns);
    const reason = aside.get(name);
    const isBehind =
      reason === undefined ? [] : [`It is set aside and not brought up to date. ${reason.split("\n")[0]}`];
    const since = partial
      .filter((one) => one.name === name)
      .map(
        (one) =>
          `It was built when records up to ${one.since} had been removed, and lacks what came of those.`,
      );
    tables.push({
      name,
      kind,
      rows,
      concerns: [...isBehind, ...since, ...found.map(({ concern }) => concern)],
    });
  }
  const removed = await sql.rows<{ zone: string; rows: number }>(
    `SELECT zone, sum("rows")::DOUBLE AS "rows" FROM db.weir.removed GROUP BY zone ORDER BY zone`,
  );
  const erasures = await sql.row<{ open: number; late: number; nextDeadline: string | null }>(
    `SELECT count(*)::DOUBLE AS "open", count(*) FILTER (WHERE deadline_at < now()::TIMESTAMP)::DOUBLE AS late,
       strftime(min(deadline_at), '%Y-%m-%dT%H:%M:%S.%gZ') AS "nextDeadline"
     FROM db.privacy.erasures WHERE state IN ('requested', 'erased')`,
  );
  return { commit, committedAt: at, erasures, counts, tables, lake, removed };
}

const spanMs = 10_000;

/** Records committed per second over the last ten seconds. */
export class Throughput {
  #commits: { at: number; records: number }[] = [];
  #last: Committed | undefined;

  note(committed: Committed, nowMs: number): void {
    this.#commits.push({ at: nowMs, records: committed.records });
    this.#last = committed;
    this.#trim(nowMs);
  }

  get timings(): Readonly<Record<string, number>> {
    return this.#last?.timings ?? {};
  }

  perSecond(nowMs: number): number {
    this.#trim(nowMs);
    return this.#commits.reduce((sum, { records }) => sum + records, 0) / (spanMs / 1000);
  }

  #trim(nowMs: number): void {
    this.#commits = this.#commits.filter(({ at }) => at > nowMs - spanMs);
  }
}
