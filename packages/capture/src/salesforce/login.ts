import { createSign } from "node:crypto";
import type { Json } from "@weir/contract";
import { WeirError, isJsonObject } from "@weir/contract";
import { exchange } from "../web/exchange.ts";
import { Passing, retryAfterMs } from "../web/retry.ts";
import type { SalesforceAuth, SalesforceSource } from "./declare.ts";

export interface Session {
  readonly token: string;
  readonly instanceUrl: string;
}

export interface LoginOptions {
  readonly nowMs: number;
  readonly idleMs: number;
  readonly signal: AbortSignal;
}

/** How long an assertion is good for; Salesforce takes at most 5 minutes. */
const assertionSeconds = 180;

/**
 * Asks for an access token (`/services/oauth2/token`).
 *
 * @throws WeirError `salesforce_auth_failed`; Passing when it is worth another try
 */
export async function login(spec: SalesforceSource, options: LoginOptions): Promise<Session> {
  const { nowMs, idleMs, signal } = options;
  const url = `${spec.loginUrl}/services/oauth2/token`;
  const form = new URLSearchParams(grant(spec.auth, spec.loginUrl, nowMs)).toString();
  const headers = { "content-type": "application/x-www-form-urlencoded", accept: "application/json" };
  const request = { url, method: "POST" as const, headers, body: form, idleMs, signal };
  let reply: { status: number; headers: Headers; text: string };
  try {
    reply = await exchange(request, async (answer) => {
      const text = await answer.text();
      return { status: answer.status, headers: answer.headers, text };
    });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Passing(`the login failed: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  const { status, text } = reply;
  const object = parse(text);
  if (status === 200 && isJsonObject(object) && typeof object["access_token"] === "string") {
    const { access_token: token, instance_url: instance } = object;
    return {
      token,
      instanceUrl: spec.instanceUrl ?? (typeof instance === "string" ? instance : spec.loginUrl),
    };
  }
  const error = isJsonObject(object) ? textOf(object["error"]) : "";
  // Salesforce says what is wrong in the words of OAuth 2.0; other answers are a proxy's, or its own bad day.
  if (error === "" || error === "unknown_error" || status === 429 || status >= 500) {
    throw new Passing(`the login was answered with ${status}`, {
      afterMs: retryAfterMs(reply.headers, nowMs),
    });
  }
  const description = isJsonObject(object) ? textOf(object["error_description"]) : "";
  const reason = description === "" ? error : `${error}, ${description}`;
  throw new WeirError("salesforce_auth_failed", `Salesforce refused the login: ${reason}.`, {
    where: spec.loginUrl,
  });
}

function grant(auth: SalesforceAuth, loginUrl: string, nowMs: number): Record<string, string> {
  const { clientId: client_id } = auth;
  if ("privateKey" in auth) {
    const assertion = jwt(auth, loginUrl, nowMs);
    return { grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer", assertion };
  }
  const secret =
    "clientSecret" in auth && auth.clientSecret !== undefined ? { client_secret: auth.clientSecret } : {};
  if ("refreshToken" in auth) {
    return { grant_type: "refresh_token", client_id, refresh_token: auth.refreshToken, ...secret };
  }
  return { grant_type: "client_credentials", client_id, ...secret };
}

/** A JSON Web Token signed with RS256 (RFC 7523, as Salesforce profiles it). */
function jwt(
  auth: { clientId: string; username: string; privateKey: string },
  loginUrl: string,
  nowMs: number,
): string {
  // The audience is the login host for every My Domain of its kind.
  const audience = /\.sandbox\.|^https:\/\/test\./.test(loginUrl)
    ? "https://test.salesforce.com"
    : "https://login.salesforce.com";
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const exp = Math.floor(nowMs / 1000) + assertionSeconds;
  const claims = { iss: auth.clientId, sub: auth.username, aud: audience, exp };
  const signed = `${part({ alg: "RS256", typ: "JWT" })}.${part(claims)}`;
  try {
    return `${signed}.${createSign("RSA-SHA256").update(signed).sign(auth.privateKey, "base64url")}`;
  } catch (cause) {
    throw new WeirError("salesforce_auth_failed", "The privateKey is no RSA key in PEM.", { cause });
  }
}

function parse(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

const textOf = (value: Json | undefined): string => (typeof value === "string" ? value.slice(0, 200) : "");
