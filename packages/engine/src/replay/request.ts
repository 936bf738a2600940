import { createHash } from "node:crypto";
import type { Program } from "@weir/compile";
import { text } from "@weir/compile";
import { WeirError } from "@weir/contract";
import type { Sql } from "../database.ts";
import { hashesOf } from "../shadow/component.ts";
import { measuredSpeed } from "../tasks/ledger.ts";
import type { NewTask } from "../tasks/ledger.ts";
import type { TaskHost } from "../tasks/runner.ts";
import { edgesOf } from "../tasks/shadow-run.ts";
import type { SwapWhen } from "../tasks/shadow-run.ts";

/** Which records are judged again: those that were received in [from, to). */
export interface ReplayRequest {
  /** ISO 8601. */
  readonly from: string;
  /** ISO 8601. Default: now. */
  readonly to?: string;
  /** When what comes of it takes the place of what is live. Default `asked`: when somebody says so. */
  readonly swap?: SwapWhen;
  /** The share of the time that it works, of the rest it waits: 0.01 to 1. Default 0.25. */
  readonly share?: number;
}

/** What a replay would do. */
export interface ReplayPlan {
  /** ISO 8601, UTC. */
  readonly from: string;
  readonly to: string;
  /** Raw records that are judged again, by source. */
  readonly partitions: readonly {
    readonly source: string;
    readonly files: number;
    readonly rows: number;
    readonly bytes: number;
  }[];
  readonly rows: number;
  /** Of the files that have them, which may have others too. */
  readonly bytes: number;
  /** Tables that may be built anew, each after those that it reads. */
  readonly tables: readonly string[];
  /** Rows of the clean zone that they are built from, those of a contract as often as tables are made of it. */
  readonly tableRows: number;
  /** By the speed of the last replays; null where there was none. At the whole capacity, without pauses. */
  readonly estimatedMs: number | null;
}

const defaultShare = 0.25;

/** An interval in microseconds, [from, until). */
export interface Span {
  readonly from: number;
  readonly until: number;
}

/** @throws WeirError `invalid_usage`, `history_removed`, `raw_removed` */
export async function planReplay(sql: Sql, host: TaskHost, request: ReplayRequest): Promise<ReplayPlan> {
  const span = await checked(sql, host, request);
  const files = await rawFiles(sql, span);
  const partitions = new Map<string, { source: string; files: number; rows: number; bytes: number }>();
  for (const { source, path, bytes } of files) {
    const { rows } = await sql.row<{ rows: number }>(
      `SELECT count(*)::DOUBLE AS "rows" FROM read_parquet(${text(host.lake.path(path))}, hive_partitioning = false) WHERE ${receivedIn(span)}`,
    );
    if (rows === 0) continue;
    const before = partitions.get(source) ?? { source, files: 0, rows: 0, bytes: 0 };
    partitions.set(source, {
      source,
      files: before.files + 1,
      rows: before.rows + rows,
      bytes: before.bytes + bytes,
    });
  }
  const listed = [...partitions.values()];
  const sum = (of: "rows" | "bytes"): number => listed.reduce((all, one) => all + one[of], 0);
  const tableRows = await rowsOfTables(sql, host.program);
  const speed = await measuredSpeed(sql, "replay");
  return {
    from: iso(span.from),
    to: iso(span.until),
    partitions: listed,
    rows: sum("rows"),
    bytes: sum("bytes"),
    tables: host.program.tables.map(({ name }) => name),
    tableRows,
    estimatedMs: speed === null ? null : Math.round(((sum("rows") + tableRows) * 1000) / speed),
  };
}

/** @throws WeirError `invalid_usage`, `history_removed`, `raw_removed` */
export async function replayTask(
  sql: Sql,
  host: TaskHost,
  request: ReplayRequest,
  actor: string,
): Promise<NewTask> {
  const { swap = "asked", share = defaultShare } = request;
  const { rows, tableRows, from, to } = await planReplay(sql, host, request);
  const contracts = host.program.contracts.map(({ contract }) => contract.name);
  return {
    kind: "replay",
    target: `${from} to ${to}`,
    arguments: {
      from,
      // Of two requests up to now only this differs.
      ...(request.to === undefined ? { before: to } : { to }),
      swap,
      share,
      program: programHash(host.program),
      edges: await edgesOf(sql, contracts),
    },
    actor,
    progress: { done: 0, total: rows + tableRows, unit: "rows", busyMs: 0, counts: {} },
  };
}

/** Changes with everything that the outcome of a record, and what tables make of it, depend on. */
export function programHash({ contracts, sources, tables }: Program): string {
  const judging = contracts.map(({ contract, rows, clean, undecided, privacy }) => [
    contract,
    rows,
    clean,
    undecided,
    privacy,
  ]);
  return createHash("sha256")
    .update(JSON.stringify([judging, sources, hashesOf(tables)]))
    .digest("hex");
}

export const receivedIn = ({ from, until }: Span): string =>
  `received_at >= make_timestamp(${from}) AND received_at < make_timestamp(${until})`;

const iso = (us: number): string => new Date(us / 1000).toISOString();

interface RawFile extends Record<string, string | number> {
  source: string;
  path: string;
  bytes: number;
}

/** Raw files that may have records of an interval. */
export const rawFiles = (sql: Sql, { from, until }: Span): Promise<RawFile[]> =>
  sql.rows<RawFile>(
    `SELECT name AS source, path, bytes::DOUBLE AS bytes FROM db.weir.files WHERE zone = 'raw'
       AND min_time < make_timestamp(${until}) AND max_time >= make_timestamp(${from}) ORDER BY "commit", path`,
  );

async function rowsOfTables(sql: Sql, { tables }: Program): Promise<number> {
  const rows = await sql.rows<{ name: string; n: number }>(
    `SELECT name, sum("rows")::DOUBLE AS n FROM db.weir.files WHERE zone = 'clean' GROUP BY name`,
  );
  const of = new Map(rows.map(({ name, n }) => [name, n]));
  return tables.reduce((sum, { from }) => sum + from.reduce((all, name) => all + (of.get(name) ?? 0), 0), 0);
}

async function checked(
  sql: Sql,
  host: TaskHost,
  { from, to, share = defaultShare }: ReplayRequest,
): Promise<Span> {
  const wrong = (message: string): WeirError => new WeirError("invalid_usage", message);
  if (!(share >= 0.01 && share <= 1)) throw wrong("The share must be a number from 0.01 to 1.");
  const [begin, end] = [instant("from", from), to === undefined ? Date.now() : instant("to", to)];
  if (begin >= end) throw wrong("The interval must begin before it ends.");
  const span = { from: begin * 1000, until: end * 1000 };
  const aside = host.program.tables.find(({ name }) => host.aside.has(name));
  if (aside !== undefined)
    throw new WeirError("invalid_usage", `${aside.name} is set aside: the next start builds it anew.`, {
      where: `table ${aside.name}`,
    });
  await refuseGone(sql, host, span);
  return span;
}

function instant(name: string, value: string): number {
  const ms = /^\d{4}-\d{2}-\d{2}/.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(ms))
    throw new WeirError("invalid_usage", `${name} must be a time as 2026-01-31T12:00:00Z.`);
  return ms;
}

/** Where retention has removed what a replay needs, or the project lacks a contract that the interval has records of. */
async function refuseGone(sql: Sql, { program }: TaskHost, { from }: Span): Promise<void> {
  const { gone, oldest, edges } = await sql.row<{ gone: boolean; oldest: string | null; edges: number }>(
    `SELECT coalesce((SELECT sum("rows") FROM db.weir.removed WHERE zone = 'raw'), 0) > 0 AS gone,
       (SELECT epoch_us(min(min_time))::VARCHAR FROM db.weir.files WHERE zone = 'raw') AS oldest,
       (SELECT count(*)::DOUBLE FROM db.weir.clean_edges) AS edges`,
  );
  if (gone && (oldest === null || from < Number(oldest))) {
    const since = oldest === null ? "" : ` The oldest are of ${iso(Number(oldest))}.`;
    throw new WeirError(
      "raw_removed",
      `Raw records of the interval may have been removed by retention.${since}`,
    );
  }
  if (edges > 0) {
    throw new WeirError(
      "history_removed",
      "Retention has removed records of the clean zone. Building tables anew would lose what came of them.",
    );
  }
  const known = program.contracts.map(({ contract }) => text(contract.name)).join(", ") || "''";
  const [unknown] = await sql.rows<{ name: string }>(
    `SELECT name FROM db.weir.files WHERE zone = 'clean' AND name NOT IN (${known}) LIMIT 1`,
  );
  if (unknown !== undefined) {
    throw new WeirError(
      "invalid_usage",
      `The clean zone has records of ${unknown.name}, which the project has no contract of any more.`,
      { where: `contract ${unknown.name}`, remedy: `Add the contract ${unknown.name} to the project again.` },
    );
  }
}
