import type { IncomingMessage, ServerResponse } from "node:http";
import { WeirError, errorCodes } from "@weir/contract";
import type { ErrorCode } from "@weir/contract";
import { toPlainError } from "./messages.ts";

const maxBodyBytes = 1 << 20;

/** Answers with a JSON value. */
export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  response.writeHead(status, {
    "content-type": "application/json; charset=utf-8",
    "content-length": body.length,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(body);
}

/** Answers with `{"error": {code, message, where, remedy}}` under the status that the code's own entry names. */
export function sendError(response: ServerResponse, error: unknown): void {
  const plain = toPlainError(error);
  const known = Object.hasOwn(errorCodes, plain.code) ? errorCodes[plain.code as ErrorCode] : undefined;
  const status = known !== undefined && "status" in known ? known.status : 500;
  sendJson(response, status, { error: plain });
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
 * A page of another site must not use the browser of somebody who can reach the API (it listens on localhost without
 * a password): browsers say where a request comes from, other clients send neither header.
 *
 * @throws WeirError `origin_not_allowed`
 */
export function refuseCrossSite(request: IncomingMessage): void {
  const { origin, host } = request.headers;
  const site = request.headers["sec-fetch-site"];
  const foreign = origin !== undefined && hostOf(origin) !== host;
  if (foreign || site === "cross-site" || site === "same-site") {
    throw new WeirError("origin_not_allowed", "The API does not answer pages of other sites.");
  }
}

function hostOf(origin: string): string | undefined {
  try {
    return new URL(origin).host;
  } catch {
    return undefined;
  }
}
