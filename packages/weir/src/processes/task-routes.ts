import type { IncomingMessage } from "node:http";
import { WeirError } from "@weir/contract";
import type { Engine, QuarantineRequest, RebuildRequest, ReplayRequest, TaskInfo } from "@weir/engine";
import { demand, mayRole } from "@weir/govern";
import type { Caller, Governance } from "@weir/govern";
import { allow, integer, readAsked } from "./http-json.ts";

const mostTasks = 1_000;

/** Answers what is about tasks, and asks for those of the quarantine; undefined for any other path. */
export async function tasked(
  engine: Engine,
  governance: Governance,
  caller: Caller,
  request: IncomingMessage,
  url: URL,
): Promise<{ readonly value: unknown } | undefined> {
  const path = url.pathname.replace(/\/+$/, "");
  const [, action] = /^\/api\/quarantine\/(reprocess|discard)$/.exec(path) ?? [];
  if (action === "reprocess" || action === "discard") {
    allow(request, "POST");
    demand(caller, "operate");
    const { plan, body } = await readAsked(request, ["source", "contract", "reason", "ids", "why", "share"]);
    const asked: QuarantineRequest = { ...quarantineRequest(body), action };
    if (plan) return { value: await engine.tasks.planQuarantine(asked) };
    return { value: await askQuarantine(engine, governance, caller, asked) };
  }
  if (path === "/api/rebuild") {
    allow(request, "POST");
    demand(caller, "operate");
    const { plan, body } = await readAsked(request, ["table", "swap", "share"]);
    const asked = rebuildRequest(body);
    if (plan) return { value: await engine.tasks.planRebuild(asked) };
    return { value: await askRebuild(engine, governance, caller, asked) };
  }
  if (path === "/api/replay") {
    allow(request, "POST");
    demand(caller, "operate");
    const { plan, body } = await readAsked(request, ["from", "to", "swap", "share"]);
    const asked = replayRequest(body);
    if (plan) return { value: await engine.tasks.planReplay(asked) };
    return { value: await askReplay(engine, governance, caller, asked) };
  }
  const [, id, change] = /^\/api\/tasks\/(\d{1,15})(?:\/(cancel|swap|undo))?$/.exec(path) ?? [];
  if (path !== "/api/tasks" && id === undefined) return undefined;
  if (change === "cancel" || change === "swap" || change === "undo") {
    allow(request, "POST");
    demand(caller, "operate");
    return { value: await changeTask(engine, governance, caller, change, Number(id)) };
  }
  allow(request, "GET");
  demand(caller, "status");
  const isAll = mayRole(caller.role, "query") && !engine.access.isLimited(caller.role);
  const shown = (task: TaskInfo): TaskInfo => (isAll ? task : withoutRows(task));
  if (id !== undefined) return { value: shown(await engine.tasks.show(Number(id))) };
  const limit = integer("limit", url.searchParams.get("limit") ?? undefined, mostTasks);
  return { value: { tasks: (await engine.tasks.list(limit)).map(shown) } };
}

/** A task without the rows that a comparison shows: for roles that do not see every column of them. */
function withoutRows(task: TaskInfo): TaskInfo {
  const result = task.result as { comparison?: readonly object[] } | null;
  if (result?.comparison === undefined) return task;
  const comparison = result.comparison.map((view) => ({ ...view, samples: [] }));
  return { ...task, result: { ...result, comparison } };
}

/** Recorded before it is done. @throws WeirError `invalid_usage`, `task_running` */
export async function askQuarantine(
  engine: Engine,
  governance: Governance,
  caller: Caller,
  request: QuarantineRequest,
): Promise<TaskInfo> {
  const { action, ids, ...rest } = request;
  const detail = { ...rest, ...(ids === undefined ? {} : { ids: ids.join(" ").slice(0, 2_000) }) };
  await governance.record(caller, `quarantine.${action}`, null, detail);
  return await engine.tasks.quarantine(request, caller.name);
}

/** Recorded before it is done. @throws WeirError `not_found`, `history_removed`, `task_running` */
export async function askRebuild(
  engine: Engine,
  governance: Governance,
  caller: Caller,
  request: RebuildRequest,
): Promise<TaskInfo> {
  const { table, ...detail } = request;
  await governance.record(caller, "rebuild", table, detail);
  return await engine.tasks.rebuild(request, caller.name);
}

/** Recorded before it is done. @throws WeirError `invalid_usage`, `history_removed`, `raw_removed`, `task_running` */
export async function askReplay(
  engine: Engine,
  governance: Governance,
  caller: Caller,
  request: ReplayRequest,
): Promise<TaskInfo> {
  await governance.record(caller, "replay", null, { ...request });
  return await engine.tasks.replay(request, caller.name);
}

/** Recorded before it is done. @throws WeirError `not_found`, `task_ended`, `task_not_ready` */
export async function changeTask(
  engine: Engine,
  governance: Governance,
  caller: Caller,
  change: "cancel" | "swap" | "undo",
  id: number,
): Promise<TaskInfo> {
  await governance.record(caller, `task.${change}`, String(id));
  return await engine.tasks[change](id, caller.name);
}

function rebuildRequest({ table, swap, share }: Readonly<Record<string, unknown>>): RebuildRequest {
  if (typeof table !== "string") throw new WeirError("invalid_usage", "Name the table.");
  return { table, ...buildOptions(swap, share) };
}

function replayRequest({ from, to, swap, share }: Readonly<Record<string, unknown>>): ReplayRequest {
  if (typeof from !== "string") throw new WeirError("invalid_usage", "Say from which time on.");
  if (to !== undefined && typeof to !== "string")
    throw new WeirError("invalid_usage", "to must be a time as a text.");
  return { from, ...(to === undefined ? {} : { to }), ...buildOptions(swap, share) };
}

function buildOptions(swap: unknown, share: unknown): Pick<RebuildRequest, "swap" | "share"> {
  const isSwap = swap === "asked" || swap === "same" || swap === "always";
  if (swap !== undefined && !isSwap)
    throw new WeirError("invalid_usage", "swap must be asked, same or always.");
  if (share !== undefined && typeof share !== "number")
    throw new WeirError("invalid_usage", "share must be a number.");
  return { ...(isSwap ? { swap } : {}), ...(share === undefined ? {} : { share }) };
}

function quarantineRequest(body: Readonly<Record<string, unknown>>): Omit<QuarantineRequest, "action"> {
  const text = (name: "source" | "contract" | "reason" | "why"): Partial<Record<typeof name, string>> => {
    const value = body[name];
    if (value === undefined) return {};
    if (typeof value !== "string") throw new WeirError("invalid_usage", `${name} must be a text.`);
    return { [name]: value };
  };
  const { ids, share } = body;
  const isList = Array.isArray(ids) && ids.every((id) => typeof id === "string");
  if (ids !== undefined && !isList) throw new WeirError("invalid_usage", "ids must be a list of texts.");
  if (share !== undefined && typeof share !== "number")
    throw new WeirError("invalid_usage", "share must be a number.");
  return {
    ...text("source"),
    ...text("contract"),
    ...text("reason"),
    ...text("why"),
    ...(isList ? { ids } : {}),
    ...(share === undefined ? {} : { share }),
  };
}
