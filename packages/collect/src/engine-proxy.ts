import {
  Agent,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
  request as httpRequest,
} from "node:http";
import { pipeline } from "node:stream";
import { WeirError } from "@weir/contract";
import { refuse } from "./answer.ts";
import { LookupChannel } from "./lookup-channel.ts";
import { lookupSocketOf } from "./lookup-frames.ts";

/** Headers between two neighbours on the way, which a proxy must not pass on (RFC 9110, section 7.6.1). */
const hopByHop = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Tells the engine that a request came over the network. Whoever can open its socket is the user that runs Weir. */
const viaCollector = "weir-via-collector";

/** Headers that a lookup's answer depends on. */
const ofLookups = ["host", "origin", "sec-fetch-site", "authorization", "if-none-match"] as const;

/** Connections to the engine that are kept for further requests. */
const keptConnections = 32;

/**
 * A connection for each request, which this end closes. Had the engine to close it (`Connection: close`), it could do so
 * between the write of the body and that of its end, and its answer was lost to EPIPE: most of the quick queries of a busy
 * machine.
 */
class SingleUse extends Agent {
  constructor() {
    super({ keepAlive: true });
  }

  override keepSocketAlive(): boolean {
    return false;
  }
}

/**
 * Passes requests to the engine's own HTTP server on a Unix socket, and its answers back, both as streams. Answers
 * 503 `engine_unavailable` while the engine is down.
 *
 * Lookups go over a channel of their own, see lookup-frames.ts; should that break, or the answer be too large for it, as any other request.
 *
 * Requests without a body go over kept connections. One that turns out dead, after a restart of the engine, costs such a request a
 * second try; a request with a body could not be sent again, and gets a connection of its own, for 50 us.
 */
export class EngineProxy {
  readonly #socketPath: string | undefined;
  readonly #agent = new Agent({ keepAlive: true, maxFreeSockets: keptConnections });
  readonly #singleUse = new SingleUse();
  readonly #lookups: LookupChannel | undefined;
  /** Event streams under way: they end only when they are cut. */
  readonly #streams = new Set<ServerResponse>();
  #isClosing = false;

  constructor(socketPath: string | undefined) {
    this.#socketPath = socketPath;
    if (socketPath !== undefined) this.#lookups = new LookupChannel(lookupSocketOf(socketPath));
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    const hasBody =
      request.headers["content-length"] !== undefined || request.headers["transfer-encoding"] !== undefined;
    const isRead = request.method === "GET" || request.method === "HEAD";
    if (this.#socketPath === undefined) unavailable(request, response, undefined);
    else if (this.#lookups !== undefined && !hasBody && isLookup(request))
      this.#lookUp(request, response, this.#socketPath, this.#lookups);
    else this.#pass(request, response, this.#socketPath, isRead && !hasBody);
  }

  /** Ends event streams, whose readers connect again elsewhere; answers under way go on. */
  close(): void {
    this.#isClosing = true;
    for (const response of this.#streams) response.destroy();
    this.#lookups?.close();
    for (const socket of Object.values(this.#agent.freeSockets).flat()) socket?.destroy();
  }

  #lookUp(
    request: IncomingMessage,
    response: ServerResponse,
    socketPath: string,
    lookups: LookupChannel,
  ): void {
    const headers: Record<string, string> = {};
    for (const name of ofLookups) {
      const value = request.headers[name];
      if (value !== undefined) headers[name] = value;
    }
    const forget = lookups.ask({ url: request.url ?? "/", headers }, (reply) => {
      response.off("close", forget);
      if (response.destroyed) return;
      if (reply === undefined) this.#pass(request, response, socketPath, true);
      else response.writeHead(reply.head.status, reply.head.headers).end(reply.body);
    });
    response.on("close", forget);
  }

  #pass(request: IncomingMessage, response: ServerResponse, socketPath: string, keep: boolean): void {
    const headers = endToEnd(request.headers);
    const forwarded = [request.headers["x-forwarded-for"], request.socket.remoteAddress].flat();
    headers[viaCollector] = "1";
    headers["x-forwarded-for"] = forwarded.filter((address) => address !== undefined).join(", ");
    const upstream = httpRequest({
      socketPath,
      method: request.method,
      path: request.url,
      headers,
      agent: keep && !this.#isClosing ? this.#agent : this.#singleUse,
    });
    const gone = (): void => {
      upstream.destroy();
    };
    upstream.on("response", (reply) => {
      response.writeHead(reply.statusCode ?? 502, endToEnd(reply.headers));
      if (reply.headers["content-type"]?.startsWith("text/event-stream") === true) this.#stream(response);
      // Cut off halfway, an answer must not look whole; pipeline destroys it.
      pipeline(reply, response, () => {});
    });
    upstream.on("error", (error) => {
      request.unpipe(upstream);
      response.off("close", gone);
      if (response.destroyed) return;
      if (keep && upstream.reusedSocket && !response.headersSent)
        this.#pass(request, response, socketPath, false);
      else unavailable(request, response, error);
    });
    response.on("close", gone);
    if (keep) upstream.end();
    else request.pipe(upstream);
  }

  /** Events must not wait for others, and the client learns at once that it is connected. */
  #stream(response: ServerResponse): void {
    this.#streams.add(response);
    response.on("close", () => this.#streams.delete(response));
    response.socket?.setNoDelay(true);
    response.flushHeaders();
    if (this.#isClosing) response.destroy();
  }
}

/** `GET /api/tables/NAME?...` */
function isLookup({ method, url = "" }: IncomingMessage): boolean {
  return method === "GET" && /^\/api\/tables\/[^/?]+(\?|$)/.test(url);
}

function unavailable(request: IncomingMessage, response: ServerResponse, cause: unknown): void {
  refuse(request, response, new WeirError("engine_unavailable", "The engine does not answer.", { cause }));
}

function endToEnd(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const named = new Set((headers.connection ?? "").split(",").map((name) => name.trim().toLowerCase()));
  const kept = Object.entries(headers).filter(([name]) => !hopByHop.has(name) && !named.has(name));
  return Object.fromEntries(kept);
}
