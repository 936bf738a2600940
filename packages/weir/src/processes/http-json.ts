import type { IncomingMessage, ServerResponse } from "node:http";
import { isIP } from "node:net";
import { WeirError, errorCodes } from "@weir/contract";
import type { ErrorCode } from "@weir/contract";
import { toPlainError } from "./messages.ts";

const maxBodyBytes = 1 << 20;

/** Of a request, what says who asks. */
export type Asked = Pick<IncomingMessage, "headers">;

/** Answers with a JSON value. */
export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  sendText(response, status, `${JSON.stringify(value)}\n`);
}

export const jsonHeaders = {
  "content-type": "application/json; charset=utf-8",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
};

/** Answers with JSON text. */
export function sendText(response: ServerResponse, status: number, text: string): void {
  const body = Buffer.from(text);
  response.writeHead(status, { ...jsonHeaders, "content-length": body.length });
  response.end(body);
}

/** An answer, whichever way it goes. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | number>>;
  readonly body: Buffer;
}

/**
 * `{"error": {code, message, where, remedy}}` under the status that the code's own entry names; with Retry-After where the
 * error has a `waitMs`.
 */
export function errorReply(error: unknown): Reply {
  const plain = toPlainError(error);
  const known = Object.hasOwn(errorCodes, plain.code) ? errorCodes[plain.code as ErrorCode] : undefined;
  const status = known !== undefined && "status" in known ? known.status : 500;
  const { waitMs } = error as { waitMs?: unknown };
  const again = typeof waitMs === "number" ? { "retry-after": Math.ceil(waitMs / 1000) } : {};
  const body = Buffer.from(`${JSON.stringify({ error: plain })}\n`);
  return { status, headers: { ...jsonHeaders, ...again, "content-length": body.length }, body };
}

export function sendReply(response: ServerResponse, { status, headers, body }: Reply): void {
  response.writeHead(status, headers).end(body);
}

/**
 * The members of a JSON request body; of an empty body, none.
 *
 * @throws WeirError `body_too_large` over 1 MiB, `invalid_usage` for anything but a JSON object
 */
export async function readJsonObject(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > maxBodyBytes) throw new WeirError("body_too_large", "The request body is larger than 1 MiB.");
    chunks.push(chunk as Buffer);
  }
  if (size === 0) return {};
  let value: unknown;
  try {
    value = JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch (cause) {
    throw new WeirError("invalid_usage", `The request body is not JSON: ${(cause as Error).message}.`, {
      cause,
    });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new WeirError("invalid_usage", "The request body must be a JSON object.");
}

/**
 * What is asked for by a request that changes things for good, and whether a plan of it is wanted only. A member that is misspelt is
 * an error: `dryRun` in place of `plan` must not erase anybody, nor `reasons` in place of `reason` discard the whole quarantine.
 *
 * @param members that it may have, beside `plan`
 * @throws WeirError `body_too_large`, `invalid_usage`
 */
export async function readAsked(
  request: IncomingMessage,
  members: readonly string[],
): Promise<{ readonly plan: boolean; readonly body: Readonly<Record<string, unknown>> }> {
  const { plan = false, ...body } = await readJsonObject(request);
  refuseOthers(body, members, [...members, "plan"]);
  if (typeof plan !== "boolean") throw new WeirError("invalid_usage", "plan must be true or false.");
  return { plan, body };
}

/** @throws WeirError `invalid_usage` where an object has another member */
export function refuseOthers(
  body: Readonly<Record<string, unknown>>,
  members: readonly string[],
  shown = members,
): void {
  const strange = Object.keys(body).find((name) => !members.includes(name));
  if (strange === undefined) return;
  throw new WeirError("invalid_usage", `${JSON.stringify(strange.slice(0, 100))} is no member of this.`, {
    remedy: `It has ${shown.join(", ")}. Nothing was done.`,
  });
}

/** @throws WeirError `method_not_allowed` */
export function allow(request: IncomingMessage, ...methods: string[]): void {
  if (methods.includes(request.method ?? "")) return;
  throw new WeirError("method_not_allowed", `This address takes ${methods.join(" or ")}.`);
}

/** A whole number from 0 to `max`, given as a JSON number or as digits; undefined where there is none. */
export function integer(name: string, value: unknown, max: number): number | undefined {
  if (value === undefined) return undefined;
  const number = typeof value === "string" && /^\d{1,16}$/.test(value) ? Number(value) : value;
  if (typeof number === "number" && Number.isInteger(number) && number >= 0 && number <= max) return number;
  throw new WeirError("invalid_usage", `${name} must be a whole number from 0 to ${max}.`);
}

/**
 * A page of another site must not use the browser of somebody who can reach the API, which has no password. Browsers
 * say where a request comes from; other clients send neither header. A site can also make its own name point at this
 * machine (DNS rebinding), so that its requests seem to be at home: where only this machine is meant to reach the API, it
 * answers to addresses and "localhost", and to no other name.
 *
 * @throws WeirError `origin_not_allowed`
 */
export function refuseOtherSites(request: Asked, localOnly: boolean): void {
  const { origin, host = "" } = request.headers;
  const site = request.headers["sec-fetch-site"];
  const foreign = origin !== undefined && (!URL.canParse(origin) || new URL(origin).host !== host);
  if (foreign || site === "cross-site" || site === "same-site") {
    throw new WeirError("origin_not_allowed", "The API does not answer pages of other sites.");
  }
  if (localOnly && !isLocalName(host)) {
    throw new WeirError("origin_not_allowed", "The API of this instance answers to localhost only.", {
      remedy: "Use http://localhost or http://127.0.0.1, or listen for other machines with --host.",
    });
  }
}

/** "localhost" or an address, with or without a port: nothing that a name server could point here. */
function isLocalName(host: string): boolean {
  const name = host.replace(/:\d+$/, "");
  return name === "localhost" || isIP(name.replace(/^\[|\]$/g, "")) !== 0;
}
