import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Server as NetServer, Socket } from "node:net";
import { WeirError } from "@weir/contract";
import type { LogStore } from "@weir/log";
import { refuseConnection } from "./answer.ts";
import { ContractList } from "./contract-list.ts";
import { ContractNames } from "./contract-names.ts";
import { Cors } from "./cors.ts";
import { EngineProxy } from "./engine-proxy.ts";
import { Ingest, type OpenSource } from "./ingest.ts";
import { type CollectorLimits, defaultCollectorLimits, withDefaults } from "./limits.ts";
import { type Readiness, readinessOf } from "./readiness.ts";
import { MemoryGauge } from "./receive-body.ts";
import { neverBack, wallClockUs } from "./received-clock.ts";
import { type Destinations, route } from "./routes.ts";
import type { PushSource } from "./source.ts";
import { SourceWriter } from "./source-writer.ts";
import { type CollectorStats, Counters } from "./stats.ts";
import { type TlsFiles, followTlsFiles, readTlsPair } from "./tls.ts";
import type { WebhookReceiver } from "./webhook-receiver.ts";
import { type OpenWebhook, Webhooks } from "./webhooks.ts";
import { WriteKeys } from "./write-keys.ts";

export interface CollectorOptions {
  readonly sources: Readonly<Record<string, PushSource>>;
  /** By source: what receives the calls of its provider at `/v1/webhooks/<source>`. */
  readonly webhooks?: Readonly<Record<string, WebhookReceiver>>;
  readonly store: LogStore;
  /** Name of the stream that this collector writes in every source, such as `c0`; no two live collectors share one. */
  readonly writer: string;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: any free one. */
  readonly port?: number;
  /** A bound socket, as another process passed it; instead of host and port. */
  readonly serverHandle?: NetServer;
  /** Speak HTTPS, and nothing else. The files are looked at again and again: a renewed certificate needs no restart. */
  readonly tls?: TlsFiles | undefined;
  /** Unix socket of the engine's HTTP server; without it `/api` answers 503. */
  readonly apiSocket?: string;
  readonly limits?: Partial<CollectorLimits>;
  /** Microseconds since the epoch, for the `received` column. */
  readonly clock?: () => number;
  /** Hears of what an operator should know: failures of the log, and defects. Must not throw. */
  readonly onError?: (error: unknown) => void;
}

export interface Collector {
  readonly port: number;
  /** Where clients on this machine reach it, such as `http://127.0.0.1:8787`. */
  readonly url: string;
  stats(): CollectorStats;
  /** What `/readyz` answers. */
  readiness(): Readiness;
  /** Stops accepting, finishes the requests under way (for limits.closeTimeoutMs), seals the log. The same promise each time. */
  close(): Promise<void>;
}

/** Bytes of a request line and its headers together. */
const maxHeaderBytes = 16 * 1024;
/** How often connections are looked through for slow clients; Node's default of 30 s would let them stay that much longer. */
const slowCheckMs = 1000;
/** How long a stopping collector waits for the first byte of a connection. */
const silentMs = 500;

/**
 * Starts a collector: an HTTP server that writes what clients send it into the log, and answers 202 when it is durable there.
 * Its addresses, and what each answers to which input, are in docs/reference/http.md.
 *
 * A source without write keys accepts requests that show none (or any), but only if it is the only source of its kind: that is
 * for local development.
 *
 * @throws WeirError `tls_invalid`; `invalid_source` if sources contradict each other; what `LogStore.openWriter` throws; `port_in_use`,
 *   `address_unavailable`. Then nothing stays open.
 */
export async function createCollector(options: CollectorOptions): Promise<Collector> {
  const limits = withDefaults(defaultCollectorLimits, options.limits, "collector");
  const keys = new WriteKeys<OpenSource>();
  checkKeys(options.sources);
  const sources = await openSources(options);
  let webhooks: OpenWebhook[] = [];
  try {
    webhooks = await openWebhooks(options);
    for (const source of sources) for (const key of source.declared.writeKeys) keys.add(key, source);
    const server = new CollectorServer(options, limits, { sources, webhooks, keys });
    await server.listen(options);
    return server;
  } catch (error) {
    await Promise.all([...sources, ...webhooks].map(({ writer }) => writer.close()));
    throw error;
  }
}

function checkKeys(sources: CollectorOptions["sources"]): void {
  const entries = Object.entries(sources);
  for (const [name, { kind, writeKeys }] of entries) {
    const alike = entries.filter(([, other]) => other.kind === kind);
    if (writeKeys.length > 0 || alike.length < 2) continue;
    throw new WeirError(
      "invalid_source",
      `Source ${name} has no write key, and there are other ${kind} sources: its records could not be told from theirs.`,
      { where: `source ${name}`, remedy: `Give every ${kind} source a write key of its own.` },
    );
  }
}

async function openSources({ sources, store, writer }: CollectorOptions): Promise<OpenSource[]> {
  const opened: OpenSource[] = [];
  try {
    for (const [name, declared] of Object.entries(sources)) {
      const names = new ContractNames(declared.contracts);
      const sourceWriter = new SourceWriter(await store.openWriter(name, writer));
      opened.push({ name, declared, names, writer: sourceWriter, rates: new Map() });
    }
    return opened;
  } catch (error) {
    await Promise.all(opened.map((source) => source.writer.close()));
    throw error;
  }
}

async function openWebhooks({ webhooks = {}, store, writer }: CollectorOptions): Promise<OpenWebhook[]> {
  const opened: OpenWebhook[] = [];
  try {
    for (const [name, receiver] of Object.entries(webhooks)) {
      opened.push({ name, receiver, writer: new SourceWriter(await store.openWriter(name, writer)) });
    }
    return opened;
  } catch (error) {
    await Promise.all(opened.map((source) => source.writer.close()));
    throw error;
  }
}

/** What a collector has opened. */
interface Opened {
  readonly sources: readonly OpenSource[];
  readonly webhooks: readonly OpenWebhook[];
  readonly keys: WriteKeys<OpenSource>;
}

class CollectorServer implements Collector {
  readonly #limits: CollectorLimits;
  readonly #opened: readonly (OpenSource | OpenWebhook)[];
  readonly #server: Server;
  readonly #gauge: MemoryGauge;
  readonly #counters = new Counters();
  readonly #sockets = new Set<Socket>();
  readonly #engine: EngineProxy;
  #closing: Promise<void> | undefined;
  #unfollow = (): void => {};
  #url = "";

  constructor(options: CollectorOptions, limits: CollectorLimits, { sources, webhooks, keys }: Opened) {
    this.#limits = limits;
    this.#opened = [...sources, ...webhooks];
    this.#gauge = new MemoryGauge(limits.inFlightBytes);
    this.#engine = new EngineProxy(options.apiSocket);
    const cors = new Cors(Object.values(options.sources));
    const shared = {
      limits,
      gauge: this.#gauge,
      counters: this.#counters,
      receivedUs: neverBack(options.clock ?? wallClockUs()),
      isClosing: () => this.#closing !== undefined,
      onError: options.onError ?? (() => {}),
    };
    const keyless = new Map(
      sources
        .filter(({ declared }) => declared.writeKeys.length === 0)
        .map((source) => [source.declared.kind, source]),
    );
    this.#server = this.#createServer(options, {
      ingest: new Ingest({ ...shared, keys, keyless, cors }),
      webhooks: new Webhooks(webhooks, shared),
      cors,
      contracts: new ContractList(options.sources),
      readiness: () => this.readiness(),
      engine: this.#engine,
    });
  }

  #createServer({ tls, onError = () => {} }: CollectorOptions, to: Destinations): Server {
    const { headersTimeoutMs, requestTimeoutMs, keepAliveTimeoutMs, connections } = this.#limits;
    const httpOptions = {
      headersTimeout: headersTimeoutMs,
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: keepAliveTimeoutMs,
      maxHeaderSize: maxHeaderBytes,
      connectionsCheckingInterval: slowCheckMs,
      // Node would answer without a body; `route` checks it.
      requireHostHeader: false,
    };
    let server: Server;
    if (tls === undefined) server = createServer(httpOptions);
    else {
      const pair = readTlsPair(tls);
      const secure = createTlsServer({ ...httpOptions, ...pair, handshakeTimeout: headersTimeoutMs });
      this.#unfollow = followTlsFiles(secure, tls, pair, onError);
      server = secure;
    }
    server.maxConnections = connections;
    // A client may close its half of the connection behind its request and still wait for the answer.
    Object.assign(server, { httpAllowHalfOpen: true });
    server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    server.on("request", (request, response) => route(request, response, false, to));
    server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) =>
      route(request, response, true, to),
    );
    server.on("clientError", refuseConnection);
    return server;
  }

  async listen({ host = "127.0.0.1", port = 0, serverHandle, tls }: CollectorOptions): Promise<void> {
    const scheme = tls === undefined ? "http" : "https";
    const server = this.#server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)));
      if (serverHandle === undefined) server.listen({ host, port }, resolve);
      else server.listen(serverHandle, resolve);
    });
    const { address, family, port: bound } = server.address() as AddressInfo;
    const local = address === "0.0.0.0" ? "127.0.0.1" : address === "::" ? "::1" : address;
    this.#url = `${scheme}://${family === "IPv6" ? `[${local}]` : local}:${bound}`;
  }

  get port(): number {
    return Number(new URL(this.#url).port);
  }

  get url(): string {
    return this.#url;
  }

  stats(): CollectorStats {
    return this.#counters.snapshot({ inFlightBytes: this.#gauge.used, connections: this.#sockets.size });
  }

  readiness(): Readiness {
    return readinessOf(this.#opened, this.#gauge, this.#closing !== undefined);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const server = this.#server;
    this.#unfollow();
    // Answers from now on say "Connection: close". Idle connections are closed by Node, apart from those that never said a word:
    // the first request of a connection that was just accepted may be on its way.
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    this.#engine.close();
    const hangUp = setTimeout(() => {
      for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy();
    }, silentMs);
    const cut = setTimeout(() => server.closeAllConnections(), this.#limits.closeTimeoutMs);
    await closed;
    clearTimeout(hangUp);
    clearTimeout(cut);
    await Promise.all(this.#opened.map(({ writer }) => writer.close()));
  }
}

function listenError(cause: NodeJS.ErrnoException, host: string, port: number): WeirError {
  const where = `${host}:${port}`;
  if (cause.code === "EADDRINUSE") {
    return new WeirError("port_in_use", `Another process listens on port ${port} of ${host}.`, {
      where,
      cause,
    });
  }
  return new WeirError("address_unavailable", `Cannot listen on ${where} (${cause.code}).`, { where, cause });
}
