import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";

/**
 * What may become of a request. `refused`: nothing is done, and the answer is an error. `lost`: it is done, and the connection breaks
 * instead of an answer. `cut`: it is done, and the answer ends half-way. `silent`: it is done, and no answer ever comes.
 * `nonsense`: it is done, and a proxy answers in its place. `short`: it is done, and of a text some last lines are missing, in an answer that is whole
 * by its own account.
 */
export type Fault =
  | {
      readonly kind: "refused";
      readonly status: number;
      readonly body?: unknown;
      readonly headers?: Record<string, string>;
    }
  | { readonly kind: "lost" | "cut" | "silent" | "nonsense" | "short" };

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it is if a text, else as JSON. */
  readonly body: unknown;
}

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export interface FaultyHttpOptions {
  /** Decides what becomes of the request number `n`, counted from 1. */
  readonly fault?: (asked: Asked, n: number) => Fault | undefined;
  /** Milliseconds since the epoch, for the header Date. */
  readonly now: () => number;
}

/** A server on a port of its own whose answers can go wrong on the wire in all the ways that real ones do. */
export class FaultyHttp {
  readonly #server: Server;
  readonly #handle: (asked: Asked) => Answer;
  readonly #options: FaultyHttpOptions;
  #requests = 0;
  url = "";

  constructor(options: FaultyHttpOptions, handle: (asked: Asked) => Answer) {
    this.#options = options;
    this.#handle = handle;
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  get requests(): number {
    return this.#requests;
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    const url = new URL(request.url ?? "/", this.url);
    const { method = "GET", headers } = request;
    const body = Buffer.concat(chunks).toString();
    const asked: Asked = { method, path: url.pathname, query: url.searchParams, headers, body };
    this.#requests++;
    const fault = this.#options.fault?.(asked, this.#requests);
    if (fault?.kind === "refused") {
      this.#send(request, response, {
        status: fault.status,
        body: fault.body ?? {},
        headers: fault.headers ?? {},
      });
      return;
    }
    const answer = this.#handle(asked);
    if (fault === undefined) this.#send(request, response, answer);
    else if (fault.kind === "nonsense")
      this.#send(request, response, { status: 200, body: "<html>Try again</html>" });
    else if (fault.kind === "short")
      this.#send(request, response, { ...answer, body: shortened(answer.body) });
    else if (fault.kind === "cut") this.#sendHalf(response, answer);
    else if (fault.kind === "lost") request.socket.destroy();
  }

  #send(request: IncomingMessage, response: ServerResponse, { status, headers, body }: Answer): void {
    const plain = textOf(body);
    const zips = /\bgzip\b/.test(request.headers["accept-encoding"] ?? "") && plain.length > 1000;
    const bytes = zips ? gzipSync(plain) : Buffer.from(plain);
    response.writeHead(status, {
      "content-type": typeof body === "string" ? "text/csv" : "application/json",
      "content-length": bytes.length,
      date: new Date(this.#options.now()).toUTCString(),
      ...(zips ? { "content-encoding": "gzip" } : {}),
      ...headers,
    });
    response.end(bytes);
  }

  #sendHalf(response: ServerResponse, { status, headers, body }: Answer): void {
    const bytes = Buffer.from(textOf(body));
    response.writeHead(status, {
      "content-type": "application/json",
      "content-length": bytes.length,
      ...headers,
    });
    response.write(bytes.subarray(0, bytes.length >> 1), () => response.destroy());
  }
}

/** A text without the last half of its lines. */
function shortened(body: unknown): unknown {
  if (typeof body !== "string") return body;
  const lines = body.split("\n");
  return lines.slice(0, Math.max(1, lines.length >> 1)).join("\n") + "\n";
}

const textOf = (body: unknown): string => (typeof body === "string" ? body : JSON.stringify(body));
