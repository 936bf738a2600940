import type {
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
import type { CertifiedErasure } from "../processes/erase-routes.ts";
import type { NewToken } from "../processes/govern-routes.ts";
import type { Revealed } from "../processes/privacy-routes.ts";
import type { InstanceFile } from "../processes/run-files.ts";
import type { Backend, BackfillAction, QueryLimits, StatusReport } from "./backend.ts";
import type { FoundInstance } from "./find.ts";
import { patiently } from "./patience.ts";
import type { Patience } from "./patience.ts";
import { apiRequest } from "./request.ts";
import type { ApiAddress, ApiRequest } from "./request.ts";

/** For answers that cost the engine little; a busy one may still take seconds. */
const quickMs = 30_000;
/** Verification reads every file of the lake. */
const verifyMs = 6 * 3_600_000;
/** A plan looks through the files that it is about. */
const planMs = 600_000;
/** An operation with a time of its own fails by itself; this is for the answer to arrive. */
const marginMs = 5_000;

/** Asks a running instance over HTTP. */
export class HttpBackend implements Backend {
  readonly instance: InstanceFile;
  readonly #address: ApiAddress;
  readonly #patience: Patience;
  readonly #isThere: () => Promise<boolean>;

  /** @param isThere whether there is an instance whose engine may come back */
  constructor({ address, file }: FoundInstance, patience: Patience, isThere: () => Promise<boolean>) {
    this.instance = file;
    this.#address = address;
    this.#patience = patience;
    this.#isThere = isThere;
  }

  async status(): Promise<StatusReport> {
    return (await this.#get("/api/status", quickMs)) as StatusReport;
  }

  async query(sql: string, limits: QueryLimits): Promise<QueryResult> {
    const timeoutMs = limits.timeoutMs + marginMs;
    return (await this.#post("/api/query", { sql, ...limits }, timeoutMs, true)) as QueryResult;
  }

  async quarantineList(filter: QuarantineFilter): Promise<readonly QuarantinedRecord[]> {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(filter)) {
      if (value !== undefined) parameters.set(name, String(value));
    }
    const page = (await this.#get(`/api/quarantine?${parameters.toString()}`, quickMs)) as {
      records: QuarantinedRecord[];
    };
    return page.records;
  }

  async quarantineShow(id: string): Promise<QuarantinedPath> {
    return (await this.#get(`/api/quarantine/${encodeURIComponent(id)}`, quickMs)) as QuarantinedPath;
  }

  async planQuarantine({ action, ...request }: QuarantineRequest): Promise<TaskPlan> {
    const path = `/api/quarantine/${action}`;
    return (await this.#post(path, { ...request, plan: true }, planMs, true)) as TaskPlan;
  }

  async askQuarantine({ action, ...request }: QuarantineRequest): Promise<TaskInfo> {
    return (await this.#post(`/api/quarantine/${action}`, request, planMs)) as TaskInfo;
  }

  async planRebuild(request: RebuildRequest): Promise<RebuildPlan> {
    return (await this.#post("/api/rebuild", { ...request, plan: true }, planMs, true)) as RebuildPlan;
  }

  async askRebuild(request: RebuildRequest): Promise<TaskInfo> {
    return (await this.#post("/api/rebuild", request, planMs)) as TaskInfo;
  }

  async planReplay(request: ReplayRequest): Promise<ReplayPlan> {
    return (await this.#post("/api/replay", { ...request, plan: true }, planMs, true)) as ReplayPlan;
  }

  async askReplay(request: ReplayRequest): Promise<TaskInfo> {
    return (await this.#post("/api/replay", request, planMs)) as TaskInfo;
  }

  async swapTask(id: number): Promise<TaskInfo> {
    return (await this.#post(`/api/tasks/${id}/swap`, {}, quickMs)) as TaskInfo;
  }

  async undoTask(id: number): Promise<TaskInfo> {
    return (await this.#post(`/api/tasks/${id}/undo`, {}, quickMs)) as TaskInfo;
  }

  async tasks(limit: number): Promise<readonly TaskInfo[]> {
    return ((await this.#get(`/api/tasks?limit=${limit}`, quickMs)) as { tasks: TaskInfo[] }).tasks;
  }

  async task(id: number): Promise<TaskInfo> {
    return (await this.#get(`/api/tasks/${id}`, quickMs)) as TaskInfo;
  }

  async cancelTask(id: number): Promise<TaskInfo> {
    return (await this.#post(`/api/tasks/${id}/cancel`, {}, quickMs)) as TaskInfo;
  }

  async trace(id: string, contract: string | undefined): Promise<readonly Traced[]> {
    const parameters = new URLSearchParams({ id, ...(contract === undefined ? {} : { contract }) });
    const found = await this.#get(`/api/trace?${parameters.toString()}`, verifyMs);
    return (found as { contracts: Traced[] }).contracts;
  }

  async committedSegment(source: string, writer: string): Promise<number> {
    const parameters = new URLSearchParams({ source, writer });
    return ((await this.#get(`/api/offsets?${parameters.toString()}`, quickMs)) as { number: number }).number;
  }

  async recordAction(
    action: BackfillAction,
    target: string,
    detail: Readonly<Record<string, string | number>>,
  ): Promise<void> {
    await this.#post("/api/backfills", { action, target, detail }, quickMs);
  }

  async verify(): Promise<VerifyReport> {
    return (await this.#get("/api/verify", verifyMs)) as VerifyReport;
  }

  async drain(timeoutMs: number): Promise<{ readonly commit: number }> {
    return (await this.#post("/api/drain", { timeoutMs }, timeoutMs + marginMs, true)) as { commit: number };
  }

  async reveal(tokens: readonly string[], reason: string): Promise<readonly Revealed[]> {
    const answer = await this.#post("/api/vault/reveal", { tokens, reason }, verifyMs);
    return (answer as { values: Revealed[] }).values;
  }

  async tokens(): Promise<readonly TokenInfo[]> {
    return ((await this.#get("/api/tokens", quickMs)) as { tokens: TokenInfo[] }).tokens;
  }

  async createToken(name: string, role: Role, lifeMs: number | undefined): Promise<NewToken> {
    return (await this.#post("/api/tokens", { name, role, lifeMs }, quickMs)) as NewToken;
  }

  async revokeToken(name: string): Promise<void> {
    const path = `/api/tokens/${encodeURIComponent(name)}`;
    await this.#ask({ method: "DELETE", path, timeoutMs: quickMs }, true);
  }

  async planErasure(request: ErasureRequest): Promise<ErasurePlan> {
    return (await this.#post("/api/erasures", { ...request, plan: true }, verifyMs, true)) as ErasurePlan;
  }

  async erase(request: ErasureRequest): Promise<CertifiedErasure> {
    return (await this.#post("/api/erasures", request, verifyMs, true)) as CertifiedErasure;
  }

  async erasures(): Promise<readonly Erasure[]> {
    return ((await this.#get("/api/erasures", verifyMs)) as { erasures: Erasure[] }).erasures;
  }

  async erasure(id: string): Promise<CertifiedErasure> {
    return (await this.#get(`/api/erasures/${encodeURIComponent(id)}`, verifyMs)) as CertifiedErasure;
  }

  async liftErasure(id: string): Promise<CertifiedErasure> {
    return (await this.#post(
      `/api/erasures/${encodeURIComponent(id)}/lift`,
      {},
      verifyMs,
    )) as CertifiedErasure;
  }

  async audit(after: number, limit: number): Promise<readonly AuditEntry[]> {
    const path = `/api/audit?after=${after}&limit=${limit}`;
    return ((await this.#get(path, quickMs)) as { entries: AuditEntry[] }).entries;
  }

  async verifyAudit(): Promise<AuditVerdict> {
    return (await this.#get("/api/audit/verify", verifyMs)) as AuditVerdict;
  }

  async close(): Promise<void> {
    await Promise.resolve();
  }

  async #get(path: string, timeoutMs: number): Promise<unknown> {
    return await this.#ask({ method: "GET", path, timeoutMs }, true);
  }

  /** @param mayRepeat whether asking twice does no more than asking once */
  async #post(path: string, body: unknown, timeoutMs: number, mayRepeat = false): Promise<unknown> {
    return await this.#ask({ method: "POST", path, body, timeoutMs }, mayRepeat);
  }

  #ask(request: ApiRequest, mayRepeat: boolean): Promise<unknown> {
    const ask = (): Promise<unknown> => apiRequest(this.#address, request);
    return patiently(ask, mayRepeat, this.#isThere, this.#patience);
  }
}
