import type { IncomingMessage } from "node:http";
import { WeirError } from "@weir/contract";
import type { Engine, Erasure, ErasureRequest, Identifier } from "@weir/engine";
import { demand } from "@weir/govern";
import type { Caller, Certificate, Governance } from "@weir/govern";
import { allow, readAsked, refuseOthers } from "./http-json.ts";

/** An erasure, and what certifies it; null until something is erased. */
export interface CertifiedErasure extends Erasure {
  readonly certificate: Certificate | null;
}

/** Answers what is about erasures; undefined for any other path. */
export async function erased(
  engine: Engine,
  governance: Governance,
  caller: Caller,
  request: IncomingMessage,
  url: URL,
): Promise<{ readonly value: unknown } | undefined> {
  const path = url.pathname.replace(/\/+$/, "");
  const [, id, rest] = /^\/api\/erasures\/(e\d{1,15})(\/lift)?$/.exec(path) ?? [];
  if (path !== "/api/erasures" && id === undefined) return undefined;
  if (id !== undefined) {
    allow(request, rest === undefined ? "GET" : "POST");
    demand(caller, "erase");
    if (rest === undefined) return { value: await showErasure(engine, governance, id) };
    return { value: await liftErasure(engine, governance, caller, id) };
  }
  allow(request, "GET", "POST");
  demand(caller, "erase");
  if (request.method === "GET") return { value: { erasures: await engine.erasures.list() } };
  const { plan, body } = await readAsked(request, ["identifiers", "allowMany"]);
  const asked = erasureRequest(body);
  if (!plan) return { value: await erase(engine, governance, caller, asked) };
  await recordAsked(governance, caller, "erase.plan", asked);
  return { value: await engine.erasures.plan(asked) };
}

/**
 * Erases a person and certifies it. Recorded before it is done, without the identifiers: the audit log is not rewritten.
 *
 * @throws WeirError as `Erasures.erase` does
 */
export async function erase(
  engine: Engine,
  governance: Governance,
  caller: Caller,
  request: ErasureRequest,
): Promise<CertifiedErasure> {
  await recordAsked(governance, caller, "erase", request);
  const { id } = await engine.erasures.erase(request);
  const done = await showErasure(engine, governance, id);
  await governance.record(caller, "erase.done", id, { commit: done.commit });
  return done;
}

export async function recordAsked(
  governance: Governance,
  caller: Caller,
  action: string,
  { identifiers, allowMany }: ErasureRequest,
): Promise<void> {
  const kinds = identifiers.map(({ kind }) => kind ?? "any").join(" ");
  await governance.record(caller, action, null, { kinds, allowMany: allowMany ?? null });
}

/** @throws WeirError `not_found` */
export async function liftErasure(
  engine: Engine,
  governance: Governance,
  caller: Caller,
  id: string,
): Promise<CertifiedErasure> {
  await governance.record(caller, "erase.lift", id);
  await engine.erasures.lift(id);
  return await showErasure(engine, governance, id);
}

/** Issues the certificate where it is due. @throws WeirError `not_found` */
export async function showErasure(
  engine: Engine,
  governance: Governance,
  id: string,
): Promise<CertifiedErasure> {
  const erasure = await engine.erasures.show(id);
  const { state, asked, receivedAt, deadlineAt, commit, evidence, remaining } = erasure;
  if (state !== "erased" && state !== "complete") return { ...erasure, certificate: null };
  const statement = { asked, receivedAt, deadlineAt, commit, evidence, remaining };
  return { ...erasure, certificate: await governance.certificates.issue(id, state, { ...statement }) };
}

/** Issues what certificates are due though nobody asked for them: of erasures that came to their end meanwhile, or before a crash. */
export async function certifyErasures(engine: Engine, governance: Governance): Promise<void> {
  const certified = new Set(
    governance.certificates.list().map(({ subject, state }) => `${subject} ${state}`),
  );
  for (const { id, state } of await engine.erasures.list())
    if (!certified.has(`${id} ${state}`)) await showErasure(engine, governance, id);
}

/** @throws WeirError `invalid_usage` */
function erasureRequest(body: Readonly<Record<string, unknown>>): ErasureRequest {
  const { identifiers, allowMany } = body;
  const isIdentifier = (value: unknown): value is Identifier => {
    const { kind, value: of } = (value ?? {}) as Partial<Record<string, unknown>>;
    return typeof of === "string" && (kind === undefined || typeof kind === "string");
  };
  if (!Array.isArray(identifiers) || !identifiers.every(isIdentifier)) {
    throw new WeirError("invalid_usage", "identifiers must be a list of objects with a kind and a value.", {
      remedy: '{"identifiers": [{"kind": "email", "value": "jane@example.com"}]}',
    });
  }
  for (const identifier of identifiers) refuseOthers({ ...identifier }, ["kind", "value"]);
  if (allowMany !== undefined && (typeof allowMany !== "string" || allowMany.trim() === ""))
    throw new WeirError("invalid_usage", "allowMany must be a text: the reason.");
  return { identifiers, ...(allowMany === undefined ? {} : { allowMany }) };
}
