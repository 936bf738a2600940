import { availableParallelism, totalmem } from "node:os";
import type { Duration } from "@weir/contract";
import { durationMs } from "@weir/contract";
import { resolveRetention } from "./keep.ts";
import type { ResolvedRetention, Retention } from "./keep.ts";

/** What a project may say about its engine. Every bound of the engine is here. */
export interface EngineSettings {
  /** Longest time that records wait for a commit while others come in. Default 1 s. */
  readonly commitAge?: Duration;
  /** A batch is closed at this size of log, in bytes. Default 128 MB. */
  readonly batchBytes?: number;
  /** Batches staged side by side, each on one thread, beside the one that commits. Default: the machine's cores, at most 4. */
  readonly lanes?: number;
  /** Memory of DuckDB, such as "4GB". Default: half of the machine's. */
  readonly memoryLimit?: string;
  /** How long an id is remembered, by time of receipt. Default 30 days. */
  readonly dedupHorizon?: Duration;
  /** How long consumed segments stay in the log. Default 48 h. */
  readonly logRetention?: Duration;
  /** How many bytes of consumed segments stay in the log at most, however young. Default 10 GB. */
  readonly logRetentionBytes?: number;
  /** Memory of the index by which rows are looked up over HTTP, in bytes: about 35 a row. Default 256 MB. */
  readonly lookupMemory?: number;
}

export interface ResolvedSettings {
  readonly commitAgeMs: number;
  readonly batchBytes: number;
  readonly batchRecords: number;
  readonly lanes: number;
  readonly memoryLimit: string;
  readonly dedupHorizonUs: number;
  readonly logRetentionMs: number;
  readonly logRetentionBytes: number;
  readonly lookupMemoryBytes: number;
  /** A table that nobody looks up this long is copied no more, until somebody does. */
  readonly lookupIdleMs: number;
  /** How long followers of a table are told of rows that went. */
  readonly changesKeptMs: number;
  /** Recent ids become a run at this number. */
  readonly recentIds: number;
  /** Runs are not merged past this number of ids. */
  readonly largestRun: number;
  readonly keep: ResolvedRetention;
  /** The border of a history moves by so much at a time at most: each time all of it is read. */
  readonly historyStepMs: number;
  /** How long files that were replaced stay at least. */
  readonly replacedGraceMs: number;
  /** A directory of the lake that got no file for this long is merged whole. */
  readonly quietMs: number;
  /** Memory of the database that a task has beside the live one. */
  readonly taskMemory: string;
  /** Rows that one step of a task works on, about. */
  readonly taskChunkRows: number;
  /** A query that goes on so long after its time is over is one that nothing ends. */
  readonly stuckMs: number;
  /** Between looks for id runs to merge and segments to remove. */
  readonly upkeepEveryMs: number;
}

/** @throws WeirError `duration_invalid`, `project_invalid` */
export function resolveSettings(
  settings: EngineSettings = {},
  retention: Retention = {},
  known: Parameters<typeof resolveRetention>[2] = { contracts: [], tables: [], entities: [] },
): ResolvedSettings {
  const half = Math.max(512, Math.floor(totalmem() / 2 / 1_048_576));
  return {
    commitAgeMs: durationMs(settings.commitAge ?? "1s"),
    batchBytes: settings.batchBytes ?? 128 * 1_048_576,
    batchRecords: 500_000,
    lanes: settings.lanes ?? Math.min(4, availableParallelism()),
    memoryLimit: settings.memoryLimit ?? `${half}MB`,
    dedupHorizonUs: durationMs(settings.dedupHorizon ?? "30d") * 1000,
    logRetentionMs: durationMs(retention.log ?? settings.logRetention ?? "48h"),
    keep: resolveRetention(retention, durationMs(settings.dedupHorizon ?? "30d"), known),
    logRetentionBytes: settings.logRetentionBytes ?? 10 * 1_073_741_824,
    lookupMemoryBytes: settings.lookupMemory ?? 256 * 1_048_576,
    lookupIdleMs: 24 * 3_600_000,
    changesKeptMs: 7 * 24 * 3_600_000,
    recentIds: 1 << 20,
    largestRun: 1 << 29,
    historyStepMs: 24 * 3_600_000,
    replacedGraceMs: 120_000,
    quietMs: 24 * 3_600_000,
    taskMemory: `${Math.floor(half / 2)}MB`,
    taskChunkRows: 20_000,
    stuckMs: 30_000,
    upkeepEveryMs: 5_000,
  };
}
