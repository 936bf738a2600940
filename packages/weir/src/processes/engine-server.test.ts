import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileProject, count, rollup } from "@weir/compile";
import type { Program } from "@weir/compile";
import { Type, contract, timestamp } from "@weir/contract";
import { Engine } from "@weir/engine";
import { Governance } from "@weir/govern";
import { createCollector } from "@weir/collect";
import { directoryStore } from "@weir/log";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { until } from "../cli/sandbox.fixture.ts";
import type { StreamLimits } from "./change-streams.ts";
import { EngineServer } from "./engine-server.ts";

const Clicked = contract("clicked", {
  version: "1.0.0",
  owner: "test",
  id: "id",
  time: "at",
  fields: Type.Object({ id: Type.String(), at: timestamp(), page: Type.String() }),
});

const Other = contract("other", {
  version: "1.0.0",
  owner: "test",
  id: "id",
  time: "at",
  fields: Type.Object({ id: Type.String(), at: timestamp(), page: Type.String() }),
});

/** @param measure in another name the table is another one, which is built anew */
const programOf = (measure: string): Program =>
  compileProject({
    name: "small",
    sources: { web: { contracts: [Clicked] }, other: { contracts: [Other] } },
    tables: { clicks: rollup({ from: Clicked, by: "page", measures: { [measure]: count() } }) },
  });

/** An engine and its server, without processes around them. */
class Served {
  readonly dataDir = mkdtempSync(join(tmpdir(), "weir-served-"));
  readonly socket = join(this.dataDir, "engine.sock");
  readonly #store = directoryStore(join(this.dataDir, "log"), { minFreeBytes: 0 });
  #parts: { engine: Engine; server: EngineServer; governance: Governance } | undefined;
  #records = 0;

  /** Opens the engine, in place of the one before. */
  async open(limits: Partial<StreamLimits> = {}, measure = "n"): Promise<void> {
    await this.close();
    const engine = await Engine.open({
      dataDir: this.dataDir,
      program: programOf(measure),
      store: this.#store,
      settings: { memoryLimit: "512MB", lanes: 1, commitAge: 1 },
    });
    const all = { streams: 10, heartbeatMs: 60_000, stallMs: 60_000, ...limits };
    const governance = await Governance.open(join(this.dataDir, "govern"));
    const server = new EngineServer({ engine, governance }, { runDir: this.dataDir, localOnly: true }, all);
    await server.listen(this.socket);
    engine.start();
    this.#parts = { engine, server, governance };
  }

  get engine(): Engine {
    if (this.#parts === undefined) throw new Error("not open");
    return this.#parts.engine;
  }

  get governance(): Governance {
    if (this.#parts === undefined) throw new Error("not open");
    return this.#parts.governance;
  }

  /** Loads one record a page, and waits until it is committed. */
  async load(pages: readonly string[], sent = "clicked"): Promise<void> {
    const writer = await this.#store.openWriter(sent === "clicked" ? "web" : "other", "w");
    const lines = pages.map((page) => {
      const json = JSON.stringify({ id: `r${this.#records++}`, at: "2026-01-15T10:00:00Z", page });
      return Buffer.from(`1790000000000000\t${sent}\t3\t0\t\t${json}\n`);
    });
    await writer.append(
      Buffer.concat(lines),
      Uint32Array.from(lines, (line) => line.length),
    );
    await writer.close();
    await this.engine.drain();
  }

  async close(): Promise<void> {
    await this.#parts?.server.close();
    await this.#parts?.engine.stop();
    this.#parts = undefined;
  }

  async end(): Promise<void> {
    await this.close();
    rmSync(this.dataDir, { recursive: true, force: true });
  }

  async get(path: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
    const sent = request({ socketPath: this.socket, path, headers: { host: "localhost", ...headers } });
    sent.end();
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    response.setEncoding("utf8");
    return response;
  }
}

/** What a response has brought so far. */
class Received {
  text = "";
  ended = false;

  constructor(response: IncomingMessage) {
    response.on("data", (chunk: string) => {
      this.text += chunk;
    });
    // Also of one that breaks off.
    response.on("error", () => undefined);
    response.on("close", () => {
      this.ended = true;
    });
  }

  /** Waits for the end of the text to be as expected. */
  async until(expected: RegExp): Promise<string> {
    await until(() => expected.test(this.text.slice(-500)));
    return this.text;
  }

  async whole(): Promise<string> {
    await until(() => this.ended);
    return this.text;
  }
}

let served: Served;
beforeEach(() => {
  served = new Served();
});
afterEach(() => served.end());

test("a stream: what is there, what comes, and where it stands", async () => {
  await served.open();
  await served.load(["/a", "/b"]);
  const response = await served.get("/api/tables/clicks/changes?since=0");
  expect(response.headers["content-type"]).toBe("text/event-stream; charset=utf-8");
  const received = new Received(response);
  await received.until(/"commit":1}\n\n$/);
  await served.load(["/a"]);
  const text = (await received.until(/"commit":2}\n\n$/)).replaceAll(/[\da-f]{8}\./g, "");
  expect(text.split("\n\n").slice(0, -1)).toEqual([
    "retry: 1000",
    `event: change\nid: 1.1.${idOf("/a")}\ndata: {"op":"upsert","commit":1,"key":{"page":"/a"},"row":{"page":"/a","n":"1"}}`,
    `event: change\nid: 1.1.${idOf("/b")}\ndata: {"op":"upsert","commit":1,"key":{"page":"/b"},"row":{"page":"/b","n":"1"}}`,
    'event: commit\nid: 1\ndata: {"commit":1}',
    `event: change\nid: 2..${idOf("/a")}\ndata: {"op":"upsert","commit":2,"key":{"page":"/a"},"row":{"page":"/a","n":"2"}}`,
    'event: commit\nid: 2\ndata: {"commit":2}',
  ]);
});

const idOf = (page: string): string => Buffer.from(JSON.stringify([page])).toString("base64url");

test("from now on, where nothing is said", async () => {
  await served.open();
  await served.load(["/a"]);
  const received = new Received(await served.get("/api/tables/clicks/changes"));
  await received.until(/"commit":1}\n\n$/);
  await served.load(["/b"]);
  const text = await received.until(/"commit":2}\n\n$/);
  expect(text).toContain('"/b"');
  expect(text).not.toContain('"/a"');
});

test("signs of life move on while other tables change", async () => {
  await served.open({ heartbeatMs: 50 });
  await served.load(["/a"]);
  const received = new Received(await served.get("/api/tables/clicks/changes?since=0"));
  await served.load(["x"], "other");
  await received.until(/: heartbeat\n\nevent: commit\nid: [\da-f]{8}\.2\n/);
});

test("a reader that takes nothing is cut off, and goes on from its last id", async () => {
  await served.open({ stallMs: 100, streams: 1 });
  const pages = Array.from({ length: 3_000 }, (_, i) => `/${i}/${"x".repeat(2_000)}`);
  await served.load(pages);
  const slow = await served.get("/api/tables/clicks/changes?since=0");
  const hasRoom = async (): Promise<boolean> => {
    const other = await served.get("/api/tables/clicks/changes");
    other.on("error", () => undefined).destroy();
    if (other.statusCode === 503) return false;
    expect(other.statusCode).toBe(200);
    return true;
  };
  expect(await hasRoom()).toBe(false);
  // While nobody reads `slow`, the socket is full.
  await until(hasRoom);
  const text = await new Received(slow).whole();

  const seen: string[] = [];
  let lastId = "";
  const take = (blocks: readonly string[]): void => {
    for (const block of blocks) {
      const id = /^id: (.*)$/m.exec(block)?.[1];
      if (id !== undefined) lastId = id;
      const page = /"key":\{"page":"([^"]*)"/.exec(block)?.[1];
      if (page !== undefined) seen.push(page);
    }
  };
  // The last block may be cut off.
  take(text.split("\n\n").slice(0, -1));
  expect(seen.length).toBeGreaterThan(0);
  expect(seen.length).toBeLessThan(3_000);
  await served.open();
  const next = new Received(await served.get("/api/tables/clicks/changes", { "last-event-id": lastId }));
  take((await next.until(/"commit":1}\n\n$/)).split("\n\n"));
  expect(seen).toEqual(pages.toSorted());
});

test("a table that is built anew: who followed it must start over", async () => {
  await served.open();
  await served.load(["/a"]);
  const received = new Received(await served.get("/api/tables/clicks/changes?since=0"));
  const id = /id: (.*)\ndata: {"commit":1}\n\n$/.exec(await received.until(/"commit":1}\n\n$/))?.[1] ?? "";
  await served.open({}, "clicks_by_page");
  const gone = await served.get("/api/tables/clicks/changes", { "last-event-id": id });
  expect([gone.statusCode, JSON.parse(await new Received(gone).whole())]).toMatchObject([
    410,
    { error: { code: "changes_gone", message: expect.stringContaining("built anew") as string } },
  ]);
});

test("closing the server ends streams, and what they read can be resumed", async () => {
  await served.open();
  await served.load(["/a"]);
  const received = new Received(await served.get("/api/tables/clicks/changes?since=0"));
  await served.close();
  expect(await received.whole()).toMatch(/"commit":1}\n\n$/);
});

test("a large result waits for a client that does not read, and is given up after the query's time", async () => {
  await served.open();
  const sql = "SELECT repeat('x', 1000) AS x FROM range(10000000)";
  const path = `/api/query?maxRows=10000000&timeoutMs=500&sql=${encodeURIComponent(sql)}`;
  const before = process.memoryUsage.rss();
  const response = await served.get(path);
  expect(response.statusCode).toBe(200);
  // Nobody reads, so that the engine is idle once it has given up: then, and not before, it can be stopped.
  await served.close();
  expect(process.memoryUsage.rss() - before).toBeLessThan(500e6);
  const text = await new Received(response).whole();
  expect(response.complete).toBe(false);
  // The result has 10 GB.
  expect(text.length).toBeLessThan(100e6);
});

test("what a request lacks is answered with what helps whoever sends requests", async () => {
  await served.open();
  for (const path of ["/api/trace", "/api/quarantine?limit=x", "/api/tables/clicks?limit=x"]) {
    const response = await served.get(path);
    const { error } = JSON.parse(await new Received(response).whole()) as {
      error: { code: string; remedy: string };
    };
    expect([response.statusCode, error.code]).toEqual([400, "invalid_usage"]);
    expect(error.remedy).toContain("docs/reference/http.md");
  }
});

test("a lookup through a collector is answered as the engine's own HTTP server does, also after a restart", async () => {
  await served.open();
  // More than goes by the channel.
  const long = `/${"x".repeat(100_000)}`;
  await served.load(["/a", "/b", "/a", "/ä ✓", long]);
  const collector = await createCollector({
    sources: {},
    store: directoryStore(join(served.dataDir, "log"), { minFreeBytes: 0 }),
    writer: "c9",
    apiSocket: served.socket,
  });
  onTestFinished(() => collector.close());
  const both = async (path: string, headers: Record<string, string> = {}): Promise<number> => {
    const own = await served.get(path, { ...headers, "weir-via-collector": "1" });
    const expected = { status: own.statusCode, body: await new Received(own).whole() };
    const passed = await fetch(collector.url + path, { headers });
    expect({ status: passed.status, body: await passed.text() }).toEqual(expected);
    for (const name of ["etag", "weir-as-of", "cache-control", "content-type", "x-content-type-options"])
      expect(passed.headers.get(name), name).toBe(own.headers[name] ?? null);
    return passed.status;
  };
  const tag = (await served.get("/api/tables/clicks?key=/a")).headers.etag ?? "";
  expect(await both("/api/tables/clicks?key=/a")).toBe(200);
  expect(await both("/api/tables/clicks?key=/a", { "if-none-match": tag })).toBe(304);
  expect(await both(`/api/tables/clicks?key=${encodeURIComponent("/ä ✓")}&key=/b`)).toBe(200);
  expect(await both("/api/tables/clicks?prefix.page=/x&limit=5")).toBe(200);
  expect(await both("/api/tables/clicked?from=2026-01-01T00:00:00Z&to=2027-01-01T00:00:00Z")).toBe(200);
  expect(await both("/api/tables/nothing?key=1")).toBe(404);
  expect(await both("/api/tables/clicks?limit=x")).toBe(400);
  expect(await both("/api/tables/clicks?key=%00")).toBe(400);
  expect(await both("/api/tables/clicks?key=/a", { origin: "http://elsewhere" })).toBe(403);
  await served.close();
  const away = await fetch(`${collector.url}/api/tables/clicks?key=/a`);
  expect([away.status, await away.json()]).toMatchObject([503, { code: "engine_unavailable" }]);
  await served.open();
  expect(await both("/api/tables/clicks?key=/a")).toBe(200);
  const { token } = served.governance.tokens.create("ann", "viewer", undefined);
  expect(await both("/api/tables/clicks?key=/a")).toBe(401);
  expect(await both("/api/tables/clicks?key=/a", { authorization: `Bearer ${token}` })).toBe(200);
});
