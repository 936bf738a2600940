import { type IncomingMessage, type OutgoingHttpHeaders, STATUS_CODES, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { type ErrorCodeEntry, WeirError, errorCodes } from "@weir/contract";

/** After a refusal this much of the rest of its body is read and thrown away, so that the client gets to see the answer. */
const maxDiscardedBytes = 10 * 1024 * 1024;
const maxDiscardMs = 5000;
/** How long a connection whose bytes are no request stays half open behind its answer. */
const lingerMs = 250;

/** Answers with JSON, unless the headers name another type. */
export function answer(
  response: ServerResponse,
  status: number,
  headers: OutgoingHttpHeaders,
  body: string | Uint8Array,
): void {
  response.writeHead(status, {
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(body),
    ...headers,
  });
  response.end(body);
}

/** The HTTP status of an error; 500 for one that was never meant for clients. */
export function statusOf(error: WeirError): number {
  return (errorCodes[error.code] as ErrorCodeEntry).status ?? 500;
}

/**
 * Answers with an error as JSON (code, message, remedy), or as `body` with a content type in the headers. The rest of the request is discarded up to a bound and then cut off, because a
 * client that is still sending when its connection is reset may never read the answer.
 */
export function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  error: WeirError,
  headers: OutgoingHttpHeaders = {},
  body: string | Uint8Array = errorText(error),
): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  // Where the client waits for "100 Continue" it may or may not go on to send the body, so the next request cannot be found.
  const waits = request.headers.expect !== undefined && !request.complete;
  const status = statusOf(error);
  answer(
    response,
    status,
    {
      ...headers,
      ...(status === 503 && headers["retry-after"] === undefined ? { "retry-after": "1" } : {}),
      ...(waits ? { connection: "close" } : {}),
    },
    body,
  );
  if (!request.complete) discardRest(request);
}

function errorText(error: WeirError): string {
  const { code, remedy } = error;
  return JSON.stringify({ code, message: shownMessage(error), remedy });
}

/** What a client may read: `where` and the words of the log stay inside, as they name directories. */
export function shownMessage({ code, message }: WeirError): string {
  return code.startsWith("log_") ? errorCodes[code].meaning : message;
}

function discardRest(request: IncomingMessage): void {
  let discarded = 0;
  const timer = setTimeout(() => request.destroy(), maxDiscardMs).unref();
  request.on("data", (chunk: Buffer) => {
    discarded += chunk.length;
    if (discarded > maxDiscardedBytes) request.destroy();
  });
  request.on("close", () => clearTimeout(timer));
  request.resume();
}

/** Anything thrown, as an error that a client may see. */
export function asWeirError(error: unknown): WeirError {
  if (error instanceof WeirError && statusOf(error) !== 500) return error;
  return new WeirError("internal_error", "The collector failed on this request.", { cause: error });
}

/**
 * Answers a connection whose bytes are no HTTP request, or that is too slow, and closes it. Raw, because Node made no response
 * for them. While an earlier request of the connection waits for its answer, these bytes would be taken for it, so then it only closes.
 */
export function refuseConnection(error: NodeJS.ErrnoException, socket: Socket): void {
  const current = (socket as { _httpMessage?: unknown })._httpMessage;
  const busy = current instanceof ServerResponse && (current.headersSent || current.req.complete);
  if (error.code === "ECONNRESET" || !socket.writable || busy) {
    socket.destroy();
    return;
  }
  const refusal = connectionError(error.code);
  const status = statusOf(refusal);
  const body = errorText(refusal);
  // Destroyed at once, unread input would reset the connection before the client has read the answer.
  setTimeout(() => socket.destroy(), lingerMs).unref();
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/json; charset=utf-8\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

function connectionError(code: string | undefined): WeirError {
  if (code === "HPE_HEADER_OVERFLOW") return new WeirError("headers_too_large", "The headers are too large.");
  if (code === "ERR_HTTP_REQUEST_TIMEOUT")
    return new WeirError("request_timeout", "The request came too slowly.");
  return new WeirError(
    "invalid_http",
    `The request cannot be read${code === undefined ? "" : ` (${code})`}.`,
  );
}
