import http from "node:http";
import { WeirError } from "@weir/contract";
import { fromPlainError } from "../processes/messages.ts";
import type { PlainError } from "../processes/messages.ts";

/** Where an instance's API is: the engine's Unix socket, or the collector's address, which passes /api on. */
export type ApiAddress = { readonly socket: string } | { readonly url: string };

export interface ApiRequest {
  readonly method: "GET" | "POST" | "DELETE";
  /** Path and query, e.g. `/api/status`. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** How long the answer may take to arrive whole. */
  readonly timeoutMs: number;
}

/**
 * Asks a running instance.
 *
 * @returns the JSON value of the answer
 * @throws WeirError the one the instance answered with; `engine_unavailable` or `not_running` when nothing answers, or not in time
 */
export async function apiRequest(address: ApiAddress, request: ApiRequest): Promise<unknown> {
  const place = "socket" in address ? address.socket : address.url;
  let status: number;
  let text: string;
  try {
    [status, text] = await exchange(address, request);
  } catch (cause) {
    const why = (cause as Error).message;
    // The socket is asked only where an instance has been found to run.
    throw "socket" in address
      ? new WeirError("engine_unavailable", `The engine of the running instance does not answer: ${why}.`, {
          where: place,
          remedy:
            "It may be starting again: wait, and ask again; weir status tells. What was asked for may have been done.",
          cause,
        })
      : new WeirError("not_running", `No instance answers: ${why}.`, { where: place, cause });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new WeirError("not_running", `What answers (HTTP ${status}) is not Weir.`, { where: place, cause });
  }
  if (status >= 200 && status < 300) return value;
  const error = (value as { error?: PlainError } | null)?.error;
  if (typeof error?.code === "string" && typeof error.message === "string") throw fromPlainError(error);
  throw new WeirError("not_running", `The instance answers HTTP ${status}.`, { where: place });
}

async function exchange(address: ApiAddress, request: ApiRequest): Promise<[status: number, text: string]> {
  const { method, path, body, timeoutMs } = request;
  const payload = body === undefined ? undefined : JSON.stringify(body);
  const headers =
    payload === undefined
      ? {}
      : { "content-type": "application/json", "content-length": String(Buffer.byteLength(payload)) };
  const options: http.RequestOptions = {
    method,
    headers,
    agent: false,
    signal: AbortSignal.timeout(timeoutMs),
  };
  return await new Promise((resolve, reject) => {
    const onResponse = (response: http.IncomingMessage): void => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => resolve([response.statusCode ?? 0, Buffer.concat(chunks).toString("utf8")]));
    };
    const sent =
      "socket" in address
        ? http.request({ ...options, socketPath: address.socket, path }, onResponse)
        : http.request(new URL(path, address.url), options, onResponse);
    sent.on("error", reject);
    sent.end(payload);
  });
}
