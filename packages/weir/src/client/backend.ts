import type {
  EngineStatus,
  Erasure,
  ErasurePlan,
  ErasureRequest,
  QuarantineFilter,
  QuarantineRequest,
  QuarantinedPath,
  QuarantinedRecord,
  QueryResult,
  RebuildPlan,
  RebuildRequest,
  ReplayPlan,
  ReplayRequest,
  TaskInfo,
  TaskPlan,
  Traced,
  VerifyReport,
} from "@weir/engine";
import type { AuditEntry, AuditVerdict, Role, TokenInfo } from "@weir/govern";
import type { BackfillState } from "../backfill/state.ts";
import type { CertifiedErasure } from "../processes/erase-routes.ts";
import type { NewToken } from "../processes/govern-routes.ts";
import type { Revealed } from "../processes/privacy-routes.ts";
import type { InstanceFile } from "../processes/run-files.ts";

/** The process that runs the engine. */
export interface EngineProcess {
  readonly pid: number;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly residentBytes: number;
}

/** The engine's status with what its process and the supervisor know; both are null when no instance runs. */
export interface StatusReport extends EngineStatus {
  readonly process: EngineProcess | null;
  readonly instance: InstanceFile | null;
  /** Newest first. */
  readonly backfills: readonly BackfillState[];
}

export type BackfillAction = "backfill.start" | "backfill.cancel";

export interface QueryLimits {
  readonly maxRows: number;
  readonly timeoutMs: number;
}

/**
 * What commands ask of an engine, wherever it is: in a running instance (HttpBackend) or, when none runs, opened by the
 * command itself (DirectBackend). Both give the same answers.
 */
export interface Backend {
  /** The running instance, as its supervisor last described it; undefined when none runs. */
  readonly instance: InstanceFile | undefined;
  status(): Promise<StatusReport>;
  query(sql: string, limits: QueryLimits): Promise<QueryResult>;
  /** Newest first. */
  quarantineList(filter: QuarantineFilter): Promise<readonly QuarantinedRecord[]>;
  /** @throws WeirError `not_found` */
  quarantineShow(id: string): Promise<QuarantinedPath>;
  /** What a task of the quarantine would do. */
  planQuarantine(request: QuarantineRequest): Promise<TaskPlan>;
  /**
   * Asks for a task. When no instance runs it is in work until `close`, and goes on with the next start.
   *
   * @throws WeirError `invalid_usage`, `task_running`
   */
  askQuarantine(request: QuarantineRequest): Promise<TaskInfo>;
  /** What a rebuild would do. @throws WeirError `not_found`, `history_removed` */
  planRebuild(request: RebuildRequest): Promise<RebuildPlan>;
  /** Asks for a rebuild, as `askQuarantine` does. @throws WeirError `not_found`, `history_removed`, `task_running` */
  askRebuild(request: RebuildRequest): Promise<TaskInfo>;
  /** What a replay would do. @throws WeirError `invalid_usage`, `history_removed`, `raw_removed` */
  planReplay(request: ReplayRequest): Promise<ReplayPlan>;
  /** Asks for a replay, as `askQuarantine` does. @throws WeirError `invalid_usage`, `history_removed`, `raw_removed`, `task_running` */
  askReplay(request: ReplayRequest): Promise<TaskInfo>;
  /** Lets what a rebuild or replay that is ready made take the place of what is live. @throws WeirError `not_found`, `task_not_ready` */
  swapTask(id: number): Promise<TaskInfo>;
  /** Gives the task that undoes one. @throws WeirError `not_found`, `task_not_ready` */
  undoTask(id: number): Promise<TaskInfo>;
  /** Newest first. */
  tasks(limit: number): Promise<readonly TaskInfo[]>;
  /** @throws WeirError `not_found` */
  task(id: number): Promise<TaskInfo>;
  /** @throws WeirError `not_found`, `task_ended` */
  cancelTask(id: number): Promise<TaskInfo>;
  /** @throws WeirError `not_found` for a contract that there is not */
  trace(id: string, contract: string | undefined): Promise<readonly Traced[]>;
  verify(): Promise<VerifyReport>;
  /** The last segment of a stream that is loaded; 0 if none is. */
  committedSegment(source: string, writer: string): Promise<number>;
  /** Writes something that a command is about to do itself into the audit log. */
  recordAction(
    action: BackfillAction,
    target: string,
    detail: Readonly<Record<string, string | number>>,
  ): Promise<void>;
  /**
   * Resolves when everything acknowledged before the call is loaded.
   *
   * @throws WeirError `drain_timeout`
   */
  drain(timeoutMs: number): Promise<{ readonly commit: number }>;
  /**
   * Values of tokens, recorded with the reason.
   *
   * @throws WeirError `invalid_usage`, `vault_missing`
   */
  reveal(tokens: readonly string[], reason: string): Promise<readonly Revealed[]>;
  /** By name. */
  tokens(): Promise<readonly TokenInfo[]>;
  /**
   * @param lifeMs undefined: until it is revoked
   * @throws WeirError `invalid_usage`, `token_exists`
   */
  createToken(name: string, role: Role, lifeMs: number | undefined): Promise<NewToken>;
  /** @throws WeirError `not_found` */
  revokeToken(name: string): Promise<void>;
  /** What an erasure would reach. @throws WeirError `erasure_invalid`, `erasure_too_large` */
  planErasure(request: ErasureRequest): Promise<ErasurePlan>;
  /** @throws WeirError `erasure_invalid`, `erasure_too_large`, `erasure_blocked` */
  erase(request: ErasureRequest): Promise<CertifiedErasure>;
  /** Oldest first. */
  erasures(): Promise<readonly Erasure[]>;
  /** @throws WeirError `not_found` */
  erasure(id: string): Promise<CertifiedErasure>;
  /** Takes records of the person again. @throws WeirError `not_found` */
  liftErasure(id: string): Promise<CertifiedErasure>;
  /** Entries of the audit log after a number, oldest first, up to 10,000. */
  audit(after: number, limit: number): Promise<readonly AuditEntry[]>;
  verifyAudit(): Promise<AuditVerdict>;
  close(): Promise<void>;
}
