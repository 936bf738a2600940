import type { Json, JsonObject } from "@weir/contract";
import { WeirError, isJsonObject } from "@weir/contract";
import type { Clock } from "../web/clock.ts";
import { type Reply, exchange } from "../web/exchange.ts";
import { Passing, type RetryOptions, defaultRetries, retryAfterMs, retrying } from "../web/retry.ts";
import type { StripeSource } from "./declare.ts";

export interface ApiOptions {
  readonly clock: Clock;
  readonly random: () => number;
  /** Silence of a connection after which it is given up. */
  readonly idleMs: number;
}

/** An answer that is an object, and when Stripe gave it. */
export interface ApiReply {
  readonly object: JsonObject;
  /** Milliseconds since the epoch, by Stripe's clock, in whole seconds. */
  readonly serverMs: number;
}

/** A page of a list, newest first. */
export interface Page {
  readonly data: readonly JsonObject[];
  readonly hasMore: boolean;
  readonly serverMs: number;
}

/** Reads from Stripe's API, in the version of the source. Only ever GETs, so every request may be sent again. */
export class StripeApi {
  readonly #spec: StripeSource;
  readonly #options: ApiOptions;
  /** Requests sent, retries included. */
  requests = 0;

  constructor(spec: StripeSource, options: ApiOptions) {
    this.#spec = spec;
    this.#options = options;
  }

  /**
   * @returns undefined if there is no such object
   * @throws WeirError `stripe_auth_failed`, `stripe_permission_missing`, `stripe_request_failed`; what aborted the signal
   */
  async get(path: string, signal: AbortSignal, account?: string): Promise<ApiReply | undefined> {
    const { clock, random } = this.#options;
    const retries: RetryOptions = { ...defaultRetries, clock, random, signal };
    try {
      return await retrying(retries, () => this.#try(path, signal, account));
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof Passing)) throw error;
      const message = `Stripe did not answer ${pathOnly(path)}: ${error.message}.`;
      throw new WeirError("stripe_request_failed", message, { where: pathOnly(path), cause: error });
    }
  }

  /**
   * A page of a list; undefined if the object that it is to begin after is no more.
   *
   * @throws what `get` throws; `stripe_request_failed` also if the address is no list
   */
  async list(path: string, signal: AbortSignal): Promise<Page | undefined> {
    const reply = await this.get(path, signal);
    if (reply === undefined) return undefined;
    const data = reply.object["data"];
    if (!Array.isArray(data) || !data.every(isJsonObject)) {
      const message = `${pathOnly(path)} is no list.`;
      throw new WeirError("stripe_request_failed", message, { where: pathOnly(path) });
    }
    return { data, hasMore: reply.object["has_more"] === true, serverMs: reply.serverMs };
  }

  async #try(path: string, signal: AbortSignal, account: string | undefined): Promise<ApiReply | undefined> {
    const { apiKey = "", apiUrl, apiVersion } = this.#spec;
    this.requests++;
    const request = {
      url: apiUrl + path,
      headers: {
        authorization: `Bearer ${apiKey}`,
        "stripe-version": apiVersion,
        ...(account === undefined ? {} : { "stripe-account": account }),
      },
      idleMs: this.#options.idleMs,
      signal,
    };
    try {
      return await exchange(request, (reply) => this.#read(path, reply));
    } catch (error) {
      if (error instanceof WeirError || error instanceof Passing || signal.aborted) throw error;
      throw new Passing(error instanceof Error ? error.message : String(error), { cause: error });
    }
  }

  async #read(path: string, reply: Reply): Promise<ApiReply | undefined> {
    const { status, headers } = reply;
    const text = await reply.text();
    const nowMs = this.#options.clock.now();
    const object = parse(text);
    if (status === 200 && isJsonObject(object)) {
      const date = Date.parse(headers.get("date") ?? "");
      return { object, serverMs: Number.isNaN(date) ? nowMs : date };
    }
    const { code, message } = errorOf(object);
    const what = `${status}${code === "" ? "" : ` ${code}`}${message === "" ? "" : `, ${message}`}`;
    const shouldRetry = headers.get("stripe-should-retry");
    const passes = status === 200 || status === 409 || status === 429 || status >= 500;
    if (shouldRetry === "true" || (passes && shouldRetry !== "false")) {
      throw new Passing(what, { afterMs: retryAfterMs(headers, nowMs) });
    }
    if (status === 404 || code === "resource_missing") return undefined;
    const where = pathOnly(path);
    if (status === 401)
      throw new WeirError("stripe_auth_failed", `Stripe refused the API key: ${what}.`, { where });
    if (status === 403)
      throw new WeirError("stripe_permission_missing", `Stripe refused ${where}: ${what}.`, { where });
    throw new WeirError("stripe_request_failed", `Stripe refused ${where}: ${what}.`, { where });
  }
}

/** A reply that was cut off, or comes from a proxy, is no JSON. */
function parse(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** Stripe's reason, in its words, without the key that it may quote in part. */
function errorOf(object: Json | undefined): { code: string; message: string } {
  const error = isJsonObject(object) && isJsonObject(object["error"]) ? object["error"] : {};
  const text = (value: Json | undefined): string => (typeof value === "string" ? value : "");
  const message = text(error["message"])
    .replaceAll(/\b(sk|rk)_\S+/g, "$1_...")
    .slice(0, 300);
  return { code: text(error["code"]) || text(error["type"]), message };
}

const pathOnly = (path: string): string => path.split("?", 1)[0] ?? path;

/** The object that the next page begins after; undefined if this is the last page. */
export function lastId({ data, hasMore }: Page): string | undefined {
  const last = data.at(-1)?.["id"];
  return hasMore && typeof last === "string" ? last : undefined;
}
