import type { Json, JsonObject } from "@weir/contract";
import { WeirError, isJsonObject } from "@weir/contract";
import type { Clock } from "../web/clock.ts";
import { type Reply, exchange } from "../web/exchange.ts";
import { Passing, type RetryOptions, defaultRetries, retryAfterMs, retrying } from "../web/retry.ts";
import type { SalesforceSource } from "./declare.ts";
import { type Session, login } from "./login.ts";
import type { Quota } from "./quota.ts";

export interface ClientOptions {
  readonly clock: Clock;
  readonly random: () => number;
  /** Silence of a connection after which it is given up. */
  readonly idleMs: number;
  readonly quota: Quota;
}

/** Salesforce said no, in words of its own: `reason` is its error code, such as `INVALID_FIELD`. */
export class Refusal extends WeirError {
  readonly reason: string;

  constructor(reason: string, message: string, where: string) {
    super("salesforce_request_failed", message, { where });
    this.reason = reason;
  }
}

/** What the reader of an answer throws when the answer is not to blame: nothing is sent again, and `cause` is thrown. */
export class NotTheAnswer extends Error {
  override readonly name = "NotTheAnswer";

  constructor(cause: unknown) {
    super("", { cause });
  }
}

interface Sent {
  readonly method?: "GET" | "POST" | "PATCH" | "DELETE";
  readonly body?: JsonObject;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Error codes that pass by themselves. */
const passing: ReadonlySet<string> = new Set([
  "QUERY_TIMEOUT",
  "SERVER_UNAVAILABLE",
  "UNABLE_TO_LOCK_ROW",
  "UNKNOWN_EXCEPTION",
  "TXN_SECURITY_METERING_ERROR",
]);

/** Sends requests to the REST API of an organisation: logged in, within the quota, again when that is worth it. */
export class SalesforceClient {
  readonly #spec: SalesforceSource;
  readonly #options: ClientOptions;
  readonly #base: string;
  #session: Session | undefined;
  /** Salesforce's clock minus ours. */
  #aheadMs = 0;

  constructor(spec: SalesforceSource, options: ClientOptions) {
    this.#spec = spec;
    this.#options = options;
    this.#base = `/services/data/v${spec.apiVersion}`;
  }

  /** Milliseconds since the epoch by Salesforce's clock, as of the last answer. */
  serverNow(): number {
    return this.#options.clock.now() + this.#aheadMs;
  }

  /**
   * The JSON of an address below `/services/data/vXX.0`, or of one that Salesforce gave, which begins with `/services/`.
   *
   * @throws Refusal; WeirError `salesforce_auth_failed`, `salesforce_request_failed`; what aborted the signal
   */
  async json(path: string, signal: AbortSignal, sent: Sent = {}): Promise<Json> {
    return await this.read(path, signal, sent, async (reply) => {
      const text = await reply.text();
      if (text === "") return null;
      try {
        return JSON.parse(text) as Json;
      } catch (cause) {
        throw new Passing("the answer is no JSON", { cause });
      }
    });
  }

  /** As `json`, for an answer that `consume` reads; it is called again from the start when it throws anything but NotTheAnswer. */
  async read<T>(
    path: string,
    signal: AbortSignal,
    sent: Sent,
    consume: (reply: Reply) => Promise<T>,
  ): Promise<T> {
    const { clock, random } = this.#options;
    const retries: RetryOptions = { ...defaultRetries, clock, random, signal };
    const where = path.split("?", 1)[0] ?? path;
    const read = async (reply: Reply): Promise<T> => {
      this.#note(reply.headers);
      if (reply.status >= 200 && reply.status < 300) return await consume(reply);
      throw await this.#failure(reply, where);
    };
    try {
      return await retrying(retries, () => this.#inSession(path, signal, sent, read));
    } catch (error) {
      if (error instanceof NotTheAnswer) throw error.cause;
      signal.throwIfAborted();
      if (!(error instanceof Passing)) throw error;
      const message = `Salesforce did not answer ${where}: ${error.message}.`;
      throw new WeirError("salesforce_request_failed", message, { where, cause: error });
    }
  }

  /** Sends once, and once more after a new login if the session has ended. */
  async #inSession<T>(
    path: string,
    signal: AbortSignal,
    sent: Sent,
    read: (reply: Reply) => Promise<T>,
  ): Promise<T> {
    for (let isAgain = false; ; isAgain = true) {
      await this.#options.quota.take(signal);
      signal.throwIfAborted();
      const session = (this.#session ??= await this.#login(signal));
      try {
        return await this.#send(session, path, signal, sent, read);
      } catch (error) {
        if (!(error instanceof SessionRefused)) throw error;
        this.#session = undefined;
        if (isAgain)
          throw new WeirError("salesforce_auth_failed", `A new session was refused: ${error.message}.`);
      }
    }
  }

  async #login(signal: AbortSignal): Promise<Session> {
    const { clock, idleMs } = this.#options;
    return await login(this.#spec, { nowMs: clock.now(), idleMs, signal });
  }

  /** Sends once. Whatever breaks on the way is Passing; so are the parser's complaints of what was cut off. */
  async #send<T>(
    session: Session,
    path: string,
    signal: AbortSignal,
    { method = "GET", body, headers = {} }: Sent,
    read: (reply: Reply) => Promise<T>,
  ): Promise<T> {
    const url = session.instanceUrl + (path.startsWith("/services/") ? path : this.#base + path);
    const request = {
      url,
      method,
      headers: {
        authorization: `Bearer ${session.token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      idleMs: this.#options.idleMs,
      signal,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    };
    try {
      return await exchange(request, read);
    } catch (error) {
      const isKnown = [WeirError, Passing, SessionRefused, NotTheAnswer].some(
        (kind) => error instanceof kind,
      );
      if (isKnown || signal.aborted) throw error;
      throw new Passing(error instanceof Error ? error.message : String(error), { cause: error });
    }
  }

  #note(headers: Headers): void {
    this.#options.quota.note(headers.get("sforce-limit-info"));
    const date = Date.parse(headers.get("date") ?? "");
    if (!Number.isNaN(date)) this.#aheadMs = date - this.#options.clock.now();
  }

  /** The error of an answer that is none. */
  async #failure(reply: Reply, where: string): Promise<Error> {
    const { status, headers } = reply;
    const { reason, message } = errorOf(await reply.text(), status);
    const what = `${reason}${message === "" ? "" : `, ${message}`}`;
    if (status === 401 || reason === "INVALID_SESSION_ID") return new SessionRefused(what);
    if (reason === "REQUEST_LIMIT_EXCEEDED") {
      if (/total/i.test(message)) this.#options.quota.exhausted();
      return new Passing(what);
    }
    if (status === 408 || status === 429 || status >= 500 || passing.has(reason)) {
      return new Passing(what, { afterMs: retryAfterMs(headers, this.#options.clock.now()) });
    }
    return new Refusal(reason, `Salesforce refused ${where}: ${what}.`, where);
  }
}

class SessionRefused extends Error {
  override readonly name = "SessionRefused";
}

/** Salesforce's reason: `[{"errorCode", "message"}]`. */
function errorOf(text: string, status: number): { reason: string; message: string } {
  let first: Json | undefined;
  try {
    const parsed = JSON.parse(text) as Json;
    first = Array.isArray(parsed) ? (parsed[0] as Json | undefined) : parsed;
  } catch {
    // A proxy's page.
  }
  if (!isJsonObject(first)) return { reason: String(status), message: "" };
  const { errorCode, message } = first;
  return {
    reason: typeof errorCode === "string" ? errorCode : String(status),
    message: typeof message === "string" ? message.slice(0, 500) : "",
  };
}
