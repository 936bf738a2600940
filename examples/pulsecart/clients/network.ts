import { Agent, createServer, request } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import type { Random } from "../shop/random.ts";
import type { Wire } from "./ledger.ts";

/** Of the requests, so many never reach Weir, and of so many the reply does not come back. */
const requestLost = 0.004;
const replyLost = 0.02;
const timeoutMs = 60_000;

/**
 * The unreliable network between the clients and Weir: a proxy that now and then drops a connection, before the request
 * went on or after Weir has answered. The SDKs see a connection that was reset and send the same messages again; every
 * record of a lost reply reaches Weir twice.
 */
export class Network {
  readonly #target: URL;
  readonly #wire: Wire;
  readonly #random: Random;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 256 });
  readonly #server: Server;

  constructor(target: string, wire: Wire, random: Random) {
    this.#target = new URL(target);
    this.#wire = wire;
    this.#random = random;
    this.#server = createServer((incoming, outgoing) => void this.#pass(incoming, outgoing));
  }

  /** @returns the address that clients send to */
  async open(): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host: "127.0.0.1", port: 0 }, resolve);
    });
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
    this.#agent.destroy();
  }

  async #pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = await bytesOf(incoming).catch(() => undefined);
    if (body === undefined) return;
    if (this.#random.chance(requestLost)) {
      incoming.socket.destroy();
      return;
    }
    const ids = idsOf(incoming.url ?? "", incoming.headers, body);
    try {
      const { status, headers, text } = await this.#forward(incoming, body);
      const lost = this.#random.chance(replyLost);
      if (status === 202) this.#wire.accepted(ids, lost);
      if (lost) incoming.socket.destroy();
      else outgoing.writeHead(status, headers).end(text);
    } catch (error) {
      // A connection that was refused carried nothing.
      if ((error as NodeJS.ErrnoException).code !== "ECONNREFUSED") this.#wire.unanswered(ids.length);
      incoming.socket.destroy();
    }
  }

  async #forward(
    incoming: IncomingMessage,
    body: Buffer,
  ): Promise<{ status: number; headers: IncomingHttpHeaders; text: Buffer }> {
    const {
      host: _host,
      connection: _connection,
      "transfer-encoding": _encoding,
      ...headers
    } = incoming.headers;
    return await new Promise((resolve, reject) => {
      const sent = request(
        new URL(incoming.url ?? "/", this.#target),
        {
          method: incoming.method ?? "POST",
          headers: { ...headers, "content-length": body.length },
          agent: this.#agent,
          signal: AbortSignal.timeout(timeoutMs),
        },
        (response) => {
          const { "content-type": type = "application/json" } = response.headers;
          bytesOf(response).then(
            (text) => resolve({ status: response.statusCode ?? 0, headers: { "content-type": type }, text }),
            reject,
          );
        },
      );
      sent.on("error", reject);
      sent.end(body);
    });
  }
}

async function bytesOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** The ids of the records in a request, readable or not. */
function idsOf(path: string, headers: IncomingHttpHeaders, body: Buffer): string[] {
  const cloudEventId = headers["ce-id"];
  if (typeof cloudEventId === "string") return [cloudEventId];
  const text = (headers["content-encoding"] === "gzip" ? gunzipSync(body) : body).toString("utf8");
  if (path.startsWith("/v1/cloudevents")) return [(JSON.parse(text) as { id: string }).id];
  return [...text.matchAll(/"(?:messageId|event_id)":"([^"]+)"/g)].map(([, id = ""]) => id);
}
