import type {
  Engine,
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
import type { LogStore } from "@weir/log";
import { localCaller } from "@weir/govern";
import type { AuditEntry, AuditVerdict, Governance, Role, TokenInfo } from "@weir/govern";
import { readBackfills } from "../backfill/state.ts";
import { openEngine } from "../open-engine.ts";
import { sealAbandoned } from "../processes/abandoned.ts";
import { createToken, listAudit, revokeToken, verifyAudit } from "../processes/govern-routes.ts";
import type { NewToken } from "../processes/govern-routes.ts";
import { erase, liftErasure, recordAsked, showErasure } from "../processes/erase-routes.ts";
import type { CertifiedErasure } from "../processes/erase-routes.ts";
import { reveal, shownRecord } from "../processes/privacy-routes.ts";
import type { Revealed } from "../processes/privacy-routes.ts";
import { acquireDuty } from "../processes/lock.ts";
import { prepareRunDir } from "../processes/run-files.ts";
import { askQuarantine, askRebuild, askReplay, changeTask } from "../processes/task-routes.ts";
import type { Backend, BackfillAction, QueryLimits, StatusReport } from "./backend.ts";

/** Segments of one stream that the lag counts one by one. */
const countedSegments = 100_000;

/** Opens the data itself, for when no instance runs. */
export class DirectBackend implements Backend {
  readonly instance = undefined;
  readonly #dataDir: string;
  readonly #engine: Engine;
  readonly #store: LogStore;
  readonly #governance: Governance;
  #lock: Awaited<ReturnType<typeof acquireDuty>> | undefined;

  /** @throws WeirError as loading and compiling the project do; `engine_locked` when something else has the data open */
  static async open(projectFile: string, dataDir: string): Promise<DirectBackend> {
    return new DirectBackend(dataDir, await openEngine(projectFile, dataDir));
  }

  private constructor(
    dataDir: string,
    { engine, store, governance }: { engine: Engine; store: LogStore; governance: Governance },
  ) {
    this.#dataDir = dataDir;
    this.#engine = engine;
    this.#store = store;
    this.#governance = governance;
  }

  async status(): Promise<StatusReport> {
    const backfills = readBackfills(this.#dataDir);
    return {
      ...(await this.#engine.status()),
      lag: await this.#lag(),
      process: null,
      instance: null,
      backfills,
    };
  }

  async query(sql: string, limits: QueryLimits): Promise<QueryResult> {
    await this.#governance.record(localCaller, "query", null, { sql });
    return await this.#engine.query(sql, { ...limits, role: localCaller.role });
  }

  async quarantineList(filter: QuarantineFilter): Promise<readonly QuarantinedRecord[]> {
    await this.#governance.record(localCaller, "quarantine.list", null, { ...filter });
    return await this.#engine.quarantine.list(filter);
  }

  async quarantineShow(id: string): Promise<QuarantinedPath> {
    return await shownRecord(this.#engine, this.#governance, localCaller, id);
  }

  async planQuarantine(request: QuarantineRequest): Promise<TaskPlan> {
    return await this.#engine.tasks.planQuarantine(request);
  }

  async askQuarantine(request: QuarantineRequest): Promise<TaskInfo> {
    await this.#takeDuty();
    return await askQuarantine(this.#engine, this.#governance, localCaller, request);
  }

  async planRebuild(request: RebuildRequest): Promise<RebuildPlan> {
    return await this.#engine.tasks.planRebuild(request);
  }

  async askRebuild(request: RebuildRequest): Promise<TaskInfo> {
    await this.#takeDuty();
    return await askRebuild(this.#engine, this.#governance, localCaller, request);
  }

  async planReplay(request: ReplayRequest): Promise<ReplayPlan> {
    return await this.#engine.tasks.planReplay(request);
  }

  async askReplay(request: ReplayRequest): Promise<TaskInfo> {
    await this.#takeDuty();
    return await askReplay(this.#engine, this.#governance, localCaller, request);
  }

  async swapTask(id: number): Promise<TaskInfo> {
    await this.#takeDuty();
    return await changeTask(this.#engine, this.#governance, localCaller, "swap", id);
  }

  async undoTask(id: number): Promise<TaskInfo> {
    await this.#takeDuty();
    return await changeTask(this.#engine, this.#governance, localCaller, "undo", id);
  }

  /** A task starts the engine: an instance started meanwhile must refuse, with our pid. */
  async #takeDuty(): Promise<void> {
    this.#lock ??= await acquireDuty(await prepareRunDir(this.#dataDir), "engine");
  }

  async tasks(limit: number): Promise<readonly TaskInfo[]> {
    return await this.#engine.tasks.list(limit);
  }

  async task(id: number): Promise<TaskInfo> {
    const task = await this.#engine.tasks.show(id);
    if (task.endedAt !== null) return task;
    // Whoever waits for the task must hear of an engine that can go on no more.
    const failed = await Promise.race([this.#engine.failed, Promise.resolve()]);
    if (failed !== undefined) throw failed;
    return task;
  }

  async cancelTask(id: number): Promise<TaskInfo> {
    return await changeTask(this.#engine, this.#governance, localCaller, "cancel", id);
  }

  async trace(id: string, contract: string | undefined): Promise<readonly Traced[]> {
    await this.#governance.record(localCaller, "trace", id, { contract: contract ?? null });
    return await this.#engine.trace(id, contract);
  }

  async committedSegment(source: string, writer: string): Promise<number> {
    return await this.#engine.committedSegment(source, writer);
  }

  async recordAction(
    action: BackfillAction,
    target: string,
    detail: Readonly<Record<string, string | number>>,
  ): Promise<void> {
    await this.#governance.record(localCaller, action, target, detail);
  }

  async verify(): Promise<VerifyReport> {
    return await this.#engine.verify();
  }

  async drain(timeoutMs: number): Promise<{ readonly commit: number }> {
    // An engine that consumes is an engine that runs: an instance started meanwhile must refuse, with our pid.
    const lock = await acquireDuty(await prepareRunDir(this.#dataDir), "engine");
    try {
      await sealAbandoned(this.#store, await this.#store.heads());
      return await this.#engine.drain({ timeoutMs });
    } finally {
      await lock.release();
    }
  }

  async reveal(tokens: readonly string[], reason: string): Promise<readonly Revealed[]> {
    return await reveal(this.#engine, this.#governance, localCaller, tokens, reason);
  }

  async tokens(): Promise<readonly TokenInfo[]> {
    return await Promise.resolve(this.#governance.tokens.list());
  }

  async createToken(name: string, role: Role, lifeMs: number | undefined): Promise<NewToken> {
    return await createToken(this.#governance, localCaller, { name, role, lifeMs });
  }

  async revokeToken(name: string): Promise<void> {
    await revokeToken(this.#governance, localCaller, name);
  }

  async planErasure(request: ErasureRequest): Promise<ErasurePlan> {
    await recordAsked(this.#governance, localCaller, "erase.plan", request);
    return await this.#engine.erasures.plan(request);
  }

  async erase(request: ErasureRequest): Promise<CertifiedErasure> {
    // It starts the engine: an instance started meanwhile must refuse, with our pid.
    this.#lock ??= await acquireDuty(await prepareRunDir(this.#dataDir), "engine");
    return await erase(this.#engine, this.#governance, localCaller, request);
  }

  async erasures(): Promise<readonly Erasure[]> {
    return await this.#engine.erasures.list();
  }

  async erasure(id: string): Promise<CertifiedErasure> {
    return await showErasure(this.#engine, this.#governance, id);
  }

  async liftErasure(id: string): Promise<CertifiedErasure> {
    return await liftErasure(this.#engine, this.#governance, localCaller, id);
  }

  async audit(after: number, limit: number): Promise<readonly AuditEntry[]> {
    return await listAudit(this.#governance, localCaller, after, limit);
  }

  async verifyAudit(): Promise<AuditVerdict> {
    return await verifyAudit(this.#governance);
  }

  async close(): Promise<void> {
    await this.#engine.stop();
    await this.#lock?.release();
    await this.#governance.close();
  }

  /** The engine knows its lag once it runs; here the log is compared with what is committed. */
  async #lag(): Promise<StatusReport["lag"]> {
    const { rows } = await this.#engine.query(
      "SELECT source || '/' || writer, number::DOUBLE FROM weir.offsets",
      {
        maxRows: Number.MAX_SAFE_INTEGER,
      },
    );
    const reached = new Map(rows.map(([stream, number]) => [stream, Number(number)]));
    let lag = { segments: 0, records: 0, bytes: 0 };
    let oldestUs = Infinity;
    for (const { source, writer } of await this.#store.streams()) {
      const after = reached.get(`${source}/${writer}`) ?? 0;
      for (const segment of await this.#store.sealedAfter(source, writer, after, countedSegments)) {
        lag = {
          segments: lag.segments + 1,
          records: lag.records + segment.records,
          bytes: lag.bytes + segment.bytes,
        };
        oldestUs = Math.min(oldestUs, segment.firstReceivedUs);
      }
    }
    return { ...lag, oldestMs: oldestUs === Infinity ? 0 : Math.max(0, Date.now() - oldestUs / 1000) };
  }
}
