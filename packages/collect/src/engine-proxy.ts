import {
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
  request as httpRequest,
} from "node:http";
import { pipeline } from "node:stream";
import { WeirError } from "@weir/contract";
import { refuse } from "./answer.ts";

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

/**
 * Passes a request to the engine's own HTTP server on a Unix socket, and its answer back, both as streams. Answers
 * 503 `engine_unavailable` while the engine is down. A connection a request: to a Unix socket it costs 50 us, and a kept one could turn
 * out dead after a restart of the engine.
 */
export function proxyToEngine(
  request: IncomingMessage,
  response: ServerResponse,
  socketPath: string | undefined,
): void {
  const unavailable = (cause?: unknown): void => {
    const error = new WeirError("engine_unavailable", "The engine does not answer.", { cause });
    refuse(request, response, error);
  };
  if (socketPath === undefined) {
    unavailable();
    return;
  }
  const headers = endToEnd(request.headers);
  const forwarded = [request.headers["x-forwarded-for"], request.socket.remoteAddress].flat();
  headers["x-forwarded-for"] = forwarded.filter((address) => address !== undefined).join(", ");
  const upstream = httpRequest({
    socketPath,
    method: request.method,
    path: request.url,
    headers,
  });
  upstream.on("response", (reply) => {
    response.writeHead(reply.statusCode ?? 502, endToEnd(reply.headers));
    // Cut off halfway, an answer must not look whole; pipeline destroys it.
    pipeline(reply, response, () => {});
  });
  upstream.on("error", (error) => {
    request.unpipe(upstream);
    if (!response.destroyed) unavailable(error);
  });
  response.on("close", () => upstream.destroy());
  request.pipe(upstream);
}

function endToEnd(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const named = new Set((headers.connection ?? "").split(",").map((name) => name.trim().toLowerCase()));
  const kept = Object.entries(headers).filter(([name]) => !hopByHop.has(name) && !named.has(name));
  return Object.fromEntries(kept);
}
