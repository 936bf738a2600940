import type { IncomingMessage } from "node:http";
import { WeirError } from "@weir/contract";
import type { Engine, JsonValue, QuarantinedPath, QuarantinedRecord } from "@weir/engine";
import { demand, mayRole } from "@weir/govern";
import type { Caller, Governance } from "@weir/govern";
import { allow, readJsonObject } from "./http-json.ts";

const mostTokens = 1_000;
const longestReason = 500;

/** What is behind a token; null where the vault has no value. */
export interface Revealed {
  readonly token: string;
  readonly value: string | null;
}

/**
 * Values of tokens, for `POST /api/vault/reveal`.
 *
 * @throws WeirError `role_insufficient`, `invalid_usage`, `vault_missing`
 */
export async function revealRequest(
  engine: Engine,
  governance: Governance,
  caller: Caller,
  request: IncomingMessage,
): Promise<{ values: Revealed[] }> {
  allow(request, "POST");
  demand(caller, "reveal");
  const { tokens, reason } = await readJsonObject(request);
  const isList = Array.isArray(tokens) && tokens.every((token) => typeof token === "string");
  if (!isList || typeof reason !== "string") {
    throw new WeirError("invalid_usage", "The request names tokens and a reason.", {
      remedy: 'POST {"tokens": ["tok_email_..."], "reason": "ticket 4711"}.',
    });
  }
  return { values: await reveal(engine, governance, caller, tokens, reason) };
}

/** Recorded, with the reason, before it is done. @throws WeirError `invalid_usage`, `vault_missing` */
export async function reveal(
  engine: Engine,
  governance: Governance,
  caller: Caller,
  tokens: readonly string[],
  reason: string,
): Promise<Revealed[]> {
  if (reason.trim() === "" || reason.length > longestReason)
    throw new WeirError("invalid_usage", `Say why, in at most ${longestReason} characters.`);
  if (tokens.length === 0 || tokens.length > mostTokens)
    throw new WeirError("invalid_usage", `Name 1 to ${mostTokens} tokens.`);
  if (engine.vault === undefined) throw new WeirError("vault_missing", "There is no vault.");
  await governance.record(caller, "vault.reveal", tokens.join(" "), { reason, tokens: tokens.length });
  const values = await engine.vault.reveal(tokens);
  return tokens.map((token) => ({ token, value: values.get(token) ?? null }));
}

/** A record in quarantine, unsealed for those who may see personal values. Recorded before it is read. */
export async function shownRecord(
  engine: Engine,
  governance: Governance,
  caller: Caller,
  id: string,
): Promise<QuarantinedPath> {
  const unsealed = engine.vault !== undefined && mayRole(caller.role, "reveal");
  await governance.record(caller, "quarantine.show", id, unsealed ? { unsealed } : {});
  const record = await engine.quarantine.show(id);
  return unsealed ? await unsealedRecord(engine, record) : record;
}

async function unsealedRecord(engine: Engine, record: QuarantinedPath): Promise<QuarantinedPath> {
  const texts: string[] = [];
  visitTexts(record, (text) => texts.push(text));
  const opened = (await engine.vault?.unseal(texts)) ?? texts;
  const plain = new Map(texts.map((text, i) => [text, opened[i] ?? text]));
  const { detail, violations, text, base64 } = record;
  const open = (sealed: string | null): string | null =>
    sealed === null ? null : (plain.get(sealed) ?? sealed);
  return {
    ...record,
    detail: open(detail),
    violations: opening(violations, plain),
    text: open(text),
    base64: open(base64),
  };
}

/** Every text of a record that may be sealed. */
function visitTexts(
  { detail, violations, text, base64 }: QuarantinedRecord,
  visit: (text: string) => void,
): void {
  for (const part of [detail, text, base64]) if (part !== null) visit(part);
  if (!Array.isArray(violations)) return;
  for (const violation of violations) {
    const found = typeof violation === "object" && violation !== null ? foundIn(violation) : undefined;
    if (found !== undefined) visit(found);
  }
}

function foundIn(violation: JsonValue): string | undefined {
  const { found } = violation as { found?: JsonValue };
  return typeof found === "string" ? found : undefined;
}

function opening(violations: JsonValue, plain: ReadonlyMap<string, string>): JsonValue {
  if (!Array.isArray(violations)) return violations;
  return violations.map((violation) => {
    const found = typeof violation === "object" && violation !== null ? foundIn(violation) : undefined;
    return found === undefined ? violation : { ...(violation as object), found: plain.get(found) ?? found };
  });
}
