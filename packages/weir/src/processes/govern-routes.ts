import type { IncomingMessage } from "node:http";
import { WeirError } from "@weir/contract";
import { demand, isRole, localCaller, roles } from "@weir/govern";
import type { AuditEntry, AuditVerdict, Caller, Governance, Role, TokenInfo } from "@weir/govern";
import { allow, integer, readJsonObject } from "./http-json.ts";
import type { Asked } from "./http-json.ts";

/** Set by the collectors on what they pass on. */
export const viaCollector = "weir-via-collector";
const mostEntries = 10_000;
const longestLifeMs = 10 * 365 * 24 * 3_600_000;

/** A new token: the only time that it is shown. */
export interface NewToken {
  readonly token: string;
  readonly info: TokenInfo;
}

/**
 * Who a request to the engine is from. Who can open its socket is the user that runs Weir, who has the files anyway.
 *
 * @param localOnly only this machine reaches the collectors
 * @throws WeirError `token_missing`, `token_invalid`
 */
export function callerOf(governance: Governance, request: Asked, localOnly: boolean): Caller {
  if (request.headers[viaCollector] === undefined) return localCaller;
  const [, token] = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? "") ?? [];
  return governance.callerOf(token, localOnly);
}

/** Answers what is about tokens and the audit log; undefined for any other path. */
export async function governed(
  governance: Governance,
  caller: Caller,
  request: IncomingMessage,
  url: URL,
): Promise<{ readonly value: unknown } | undefined> {
  const path = url.pathname.replace(/\/+$/, "");
  const [, name] = /^\/api\/tokens\/([^/]+)$/.exec(path) ?? [];
  if (path === "/api/tokens" || name !== undefined) {
    allow(request, ...(name === undefined ? ["GET", "POST"] : ["DELETE"]));
    demand(caller, "tokens");
    if (name !== undefined) return { value: await revokeToken(governance, caller, name) };
    if (request.method === "GET") return { value: { tokens: governance.tokens.list() } };
    return { value: await createToken(governance, caller, await readJsonObject(request)) };
  }
  if (path !== "/api/audit" && path !== "/api/audit/verify") return undefined;
  allow(request, "GET");
  demand(caller, "audit");
  if (path === "/api/audit/verify") return { value: await verifyAudit(governance) };
  const after = integer("after", url.searchParams.get("after") ?? undefined, Number.MAX_SAFE_INTEGER) ?? 0;
  const limit = integer("limit", url.searchParams.get("limit") ?? undefined, mostEntries) ?? 1_000;
  return { value: { entries: await listAudit(governance, caller, after, limit) } };
}

/** Recorded before it is done. @throws WeirError `invalid_usage`, `token_exists` */
export async function createToken(
  governance: Governance,
  caller: Caller,
  { name, role, lifeMs }: Readonly<Record<string, unknown>>,
): Promise<NewToken> {
  if (typeof name !== "string" || typeof role !== "string" || !isRole(role)) {
    throw new WeirError("invalid_usage", "A token has a name and a role.", {
      remedy: `The roles are ${Object.keys(roles).join(", ")}.`,
    });
  }
  const life = integer("lifeMs", lifeMs, longestLifeMs);
  await governance.record(caller, "token.create", name, { role, lifeMs: life ?? null });
  return governance.tokens.create(name, role satisfies Role, life);
}

/** @throws WeirError `not_found` */
export async function revokeToken(
  governance: Governance,
  caller: Caller,
  name: string,
): Promise<{ revoked: string }> {
  await governance.record(caller, "token.revoke", name);
  governance.tokens.revoke(name);
  return { revoked: name };
}

export async function listAudit(
  governance: Governance,
  caller: Caller,
  after: number,
  limit: number,
): Promise<AuditEntry[]> {
  await governance.record(caller, "audit.read", null, { after, limit });
  return await governance.audit.list(after, limit);
}

export const verifyAudit = (governance: Governance): Promise<AuditVerdict> => governance.audit.verify();
