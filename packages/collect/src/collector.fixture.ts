import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Contract, Type, contract } from "@weir/contract";
import { directoryStore } from "@weir/log";
import { onTestFinished } from "vitest";
import { type Collector, type CollectorOptions, createCollector } from "./server.ts";
import { http } from "./source.ts";

/** A line of the log, taken apart. */
export interface LoggedRecord {
  readonly line: number;
  readonly receivedUs: number;
  readonly contract: string;
  readonly keys: number;
  readonly nulls: number;
  readonly error: string;
  /** The record's text; the bytes of an unreadable one, as latin1. */
  readonly text: string;
}

export interface TestCollector extends Collector {
  readonly root: string;
  /** All records of a source, in the order of the log, once they are durable. */
  logged(source?: string): LoggedRecord[];
  /** Posts and returns the answer. */
  post(path: string, body: string | Uint8Array, headers?: Record<string, string>): Promise<Answer>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

export const productViewed: Contract = contract("product_viewed", {
  version: "1.0.0",
  owner: "growth",
  id: "event_id",
  time: "occurred_at",
  aliases: ["Looked At Product", "com.shop.product.viewed"],
  fields: Type.Object({
    event_id: Type.String(),
    occurred_at: Type.String({ format: "date-time" }),
    sku: Type.Optional(Type.String()),
  }),
});

export const orderPlaced: Contract = contract("order_placed", {
  version: "2.1.0",
  owner: "sales",
  id: "order_id",
  time: "placed_at",
  fields: Type.Object({ order_id: Type.String(), placed_at: Type.String({ format: "date-time" }) }),
});

export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "weir-collect-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A collector on a port of its own and a log of its own; both end with the test. By default one source, `web`, without keys. */
export async function startCollector(
  options: Partial<CollectorOptions> = {},
  root = temporaryDirectory(),
): Promise<TestCollector> {
  const collector = await createCollector({
    sources: { web: http({ contracts: [productViewed, orderPlaced] }) },
    store: directoryStore(root, { minFreeBytes: 0 }),
    writer: "c0",
    ...options,
  });
  onTestFinished(() => collector.close());
  const post = async (path: string, body: string | Uint8Array, headers: Record<string, string> = {}) => {
    const response = await fetch(collector.url + path, { method: "POST", body, headers });
    return {
      status: response.status,
      headers: response.headers,
      body: (await response.json()) as Record<string, unknown>,
    };
  };
  return {
    root,
    post,
    logged: (source = "web") => readLog(join(root, source, "c0")),
    close: () => collector.close(),
    stats: () => collector.stats(),
    readiness: () => collector.readiness(),
    port: collector.port,
    url: collector.url,
  };
}

/** All records in the segments of a stream, sealed or not. */
export function readLog(directory: string): LoggedRecord[] {
  for (;;) {
    const segments = readdirSync(directory).filter((name) => /^\d{12}\.(seg|open)$/.test(name));
    try {
      const texts = segments.sort().map((name) => readFileSync(join(directory, name), "utf8"));
      // What follows the last line feed is still being written.
      const lines = texts.flatMap((text) => text.split("\n").slice(0, -1));
      return lines.filter((line) => !line.startsWith("0\t")).map(parseLine);
    } catch (error) {
      // Sealed, and so renamed, since it was listed.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
}

function parseLine(line: string): LoggedRecord {
  const columns = line.split("\t");
  if (columns.length !== 7) throw new Error(`${columns.length} columns: ${line}`);
  const [number, receivedUs, name, keys, nulls, error, text] = columns as [
    string,
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  return {
    line: Number(number),
    receivedUs: Number(receivedUs),
    contract: name,
    keys: Number(keys),
    nulls: Number(nulls),
    error,
    text: error === "" ? text : Buffer.from(text, "base64").toString("latin1"),
  };
}
