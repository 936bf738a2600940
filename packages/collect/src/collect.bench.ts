import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type Socket, connect } from "node:net";
import { join } from "node:path";
import { type LogEncoding, logRequest } from "./bench-logs.ts";
import type { CollectorStats } from "./stats.ts";

export interface CollectBenchOptions {
  /** The log is made, and removed again, in a new directory below this one. */
  readonly below: string;
  readonly seconds?: number;
  readonly connections?: number;
  /** Records a request. */
  readonly batch?: number;
  /** What is sent: events of 1.1 KB (default), or log records of 0.2 KB of text with Kubernetes attributes. */
  readonly send?: "events" | LogEncoding;
  /** A directory for CPU profiles of the server. */
  readonly profileTo?: string;
}

export interface CollectBenchResult {
  /** Acknowledged with 202, that is, durable. */
  readonly records: number;
  readonly recordsPerSecond: number;
  readonly megabytesPerSecond: number;
  readonly recordBytes: number;
  /** From the first byte sent to the answer. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Cores that the server and this process kept busy, the kernel's part included. */
  readonly serverCores: number;
  readonly clientCores: number;
  readonly serverRssBytes: number;
}

interface Report {
  readonly stats: CollectorStats;
  readonly cpu: NodeJS.CpuUsage;
  readonly rssBytes: number;
}

/**
 * Measures the collector alone: batches of 1.1 KB events over keep-alive connections, each waiting for its 202, which comes after the
 * fsync. The server is a process of its own; the client, this process, sends bytes prepared before, because what JSON.stringify and an
 * HTTP client library cost is not the collector's.
 */
export async function collectBench(options: CollectBenchOptions): Promise<CollectBenchResult> {
  const { below, seconds = 10, connections = 64, batch = 100, send = "events", profileTo } = options;
  const root = await mkdtemp(join(below, "weir-bench-"));
  const profiling = profileTo === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profileTo}`];
  const server = fork(new URL("bench-server.ts", import.meta.url), [root], {
    execArgv: [...profiling, "--import", import.meta.resolve("tsx")],
  });
  const [{ port }] = (await once(server, "message")) as [{ port: number }];
  const requests = Array.from({ length: 32 }, (_, i) => requestOf(send, i * batch, batch));
  const bytes = requests.reduce((sum, { body }) => sum + body, 0) / requests.length;

  const latencies: number[] = [];
  await run(port, requests, connections, performance.now() + 1000, []);
  server.send("begin");
  const cpuBefore = process.cpuUsage();
  const started = performance.now();
  await run(port, requests, connections, started + seconds * 1000, latencies);
  const elapsedS = (performance.now() - started) / 1000;
  const cpu = process.cpuUsage(cpuBefore);

  server.send("stop");
  const [report] = (await once(server, "message")) as [Report];
  await once(server, "exit");
  await rm(root, { recursive: true });
  if (Object.keys(report.stats.refused).length > 0) throw new Error(JSON.stringify(report.stats.refused));
  latencies.sort((a, b) => a - b);
  const records = latencies.length * batch;
  return {
    records,
    recordsPerSecond: records / elapsedS,
    megabytesPerSecond: (latencies.length * bytes) / elapsedS / 1e6,
    recordBytes: bytes / batch,
    p50Ms: latencies[Math.floor(latencies.length * 0.5)] ?? NaN,
    p99Ms: latencies[Math.floor(latencies.length * 0.99)] ?? NaN,
    serverCores: (report.cpu.user + report.cpu.system) / 1e6 / elapsedS,
    clientCores: (cpu.user + cpu.system) / 1e6 / elapsedS,
    serverRssBytes: report.rssBytes,
  };
}

interface PreparedRequest {
  readonly bytes: Buffer;
  /** Length of the body alone. */
  readonly body: number;
}

function requestOf(send: "events" | LogEncoding, first: number, batch: number): PreparedRequest {
  const numbers = Array.from({ length: batch }, (_, i) => first + i);
  const { path, type, body } =
    send === "events"
      ? {
          path: "/v1/events",
          type: "application/json",
          body: Buffer.from(JSON.stringify(numbers.map(eventOf))),
        }
      : logRequest(send, numbers);
  const head = `POST ${path} HTTP/1.1\r\nhost: bench\r\ncontent-type: ${type}\r\ncontent-length: ${body.length}\r\n\r\n`;
  return { bytes: Buffer.concat([Buffer.from(head), body]), body: body.length };
}

async function run(
  port: number,
  requests: readonly PreparedRequest[],
  connections: number,
  untilMs: number,
  latencies: number[],
): Promise<void> {
  const clients = Array.from({ length: connections }, (_, i) =>
    client(port, requests, i, untilMs, latencies),
  );
  await Promise.all(clients);
}

/** One connection: sends a request, waits for the answer, and so on. */
async function client(
  port: number,
  requests: readonly PreparedRequest[],
  first: number,
  untilMs: number,
  latencies: number[],
): Promise<void> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  for (let i = first; performance.now() < untilMs; i++) {
    const started = performance.now();
    socket.write(requests[i % requests.length]!.bytes);
    await answered(socket);
    latencies.push(performance.now() - started);
  }
  socket.destroy();
}

/** Resolves when a whole answer came. It is small, so it comes in one piece or the bench fails. */
function answered(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("data", (chunk) => {
      // OTLP answers 200, in protobuf with an empty body.
      if (/^HTTP\/1\.1 20[02] /.test(chunk.toString("latin1", 0, 13))) resolve();
      else reject(new Error(chunk.toString()));
    });
  });
}

/** A page view of a shop, about 1.1 KB as JSON, as web SDKs send it. */
function eventOf(i: number): object {
  return {
    event_id: `evt_${((i * 2654435761) >>> 0).toString(16)}_${i}`,
    type: "product_viewed",
    anonymous_id: `anon-${i % 50_000}`,
    user_id: i % 3 === 0 ? null : `user-${i % 20_000}`,
    session_id: `s-${i % 9000}`,
    occurred_at: new Date(1_700_000_000_000 + i * 13).toISOString(),
    sku: `SKU-${i % 5000}`,
    name: `Wireless Noise Cancelling Headphones, Model ${i % 100}`,
    category: "electronics/audio/headphones",
    price: (i % 10_000) / 100,
    currency: "EUR",
    quantity: (i % 5) + 1,
    in_stock: i % 7 !== 0,
    rating: 4.5,
    url: `https://shop.example.com/p/${i % 5000}?utm_source=newsletter&utm_medium=email&utm_campaign=spring-${i % 12}`,
    referrer: "https://www.google.com/search?q=headphones+noise+cancelling",
    user_agent:
      "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
    context: {
      locale: "de-DE",
      timezone: "Europe/Berlin",
      ip: `10.1.${i % 250}.${i % 199}`,
      screen: { width: 1920, height: 1080, density: 2 },
      app: { name: "web", version: "4.12.0", build: "4120" },
      campaign: { source: "newsletter", medium: "email", name: `spring-${i % 12}` },
    },
    tags: ["sale", "new", "electronics"],
    experiment: { name: "checkout-button", variant: i % 2 === 0 ? "a" : "b" },
    note: "x".repeat(100),
  };
}
