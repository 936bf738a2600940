import { createServer as createHttpServer } from "node:http";
import { type Server, createServer } from "node:net";
import { join } from "node:path";
import { once } from "node:events";
import { WeirError } from "@weir/contract";
import { type LogStore, type SegmentWriter, directoryStore } from "@weir/log";
import { expect, onTestFinished, test } from "vitest";
import { orderPlaced, productViewed, startCollector, temporaryDirectory } from "./collector.fixture.ts";
import { exchange } from "./raw-http.fixture.ts";
import { createCollector } from "./server.ts";
import { http } from "./source.ts";

const json = { "content-type": "application/json" };
const free = { minFreeBytes: 0 };

/** A store whose appends fail, or wait, as the test says. The log behind it is real. */
function faultyStore(root: string): { store: LogStore; fault: { error?: WeirError; held?: Promise<void> } } {
  const real = directoryStore(root, free);
  const fault: { error?: WeirError; held?: Promise<void> } = {};
  const openWriter = async (source: string, name: string): Promise<SegmentWriter> => {
    const writer = await real.openWriter(source, name);
    const check = async () => {
      await fault.held;
      if (fault.error !== undefined) throw fault.error;
    };
    return {
      source,
      writer: name,
      append: async (lines, lengths) => {
        const copies = [lines.slice(), lengths.slice()] as const;
        await check();
        await writer.append(...copies);
      },
      seal: async () => {
        await check();
        await writer.seal();
      },
      close: () => writer.close(),
      stats: () => writer.stats(),
    };
  };
  return { store: { ...bound(real), openWriter }, fault };
}

function bound(store: LogStore): LogStore {
  return {
    openWriter: (source, writer) => store.openWriter(source, writer),
    streams: () => store.streams(),
    heads: () => store.heads(),
    sealedAfter: (...position) => store.sealedAfter(...position),
    materialize: (ref) => store.materialize(ref),
    remove: (ref) => store.remove(ref),
  };
}

async function get(url: string): Promise<{ status: number; body: unknown }> {
  const response = await fetch(url);
  return { status: response.status, body: await response.json() };
}

test("a write key, shown in each of its ways, finds its source", async () => {
  const collector = await startCollector({
    sources: {
      web: http({ contracts: [productViewed], writeKeys: ["web-1", "web-2"] }),
      shop: http({ contracts: [orderPlaced], writeKeys: ["shop-1"] }),
    },
  });
  const shown: [string, Record<string, string>][] = [
    ["", { authorization: "Bearer web-1" }],
    ["", { authorization: "bearer  web-2 " }],
    ["", { authorization: `Basic ${btoa("web-1:")}` }],
    ["", { authorization: `Basic ${btoa("web-1:password")}` }],
    ["", { "x-write-key": "web-2" }],
    ["?writeKey=web-1", {}],
    ["?x=1&writeKey=web%2D1", {}],
  ];
  for (const [query, headers] of shown) {
    expect(await collector.post(`/v1/events${query}`, "{}", { ...json, ...headers })).toMatchObject({
      status: 202,
    });
  }
  expect(await collector.post("/v1/events?writeKey=shop-1", "{}", json)).toMatchObject({ status: 202 });
  expect(collector.logged("web")).toHaveLength(shown.length);
  expect(collector.logged("shop")).toMatchObject([{ contract: "order_placed" }]);
});

test("declarations that cannot work are refused, and leave nothing open", async () => {
  const root = temporaryDirectory();
  const open = (sources: Parameters<typeof createCollector>[0]["sources"]) =>
    createCollector({ sources, store: directoryStore(root, free), writer: "c0" });
  const keyed = http({ contracts: [], writeKeys: ["a"] });
  await expect(open({ web: keyed, shop: http({ contracts: [] }) })).rejects.toMatchObject({
    code: "invalid_source",
    where: "source shop",
  });
  await expect(open({ web: keyed, shop: keyed })).rejects.toMatchObject({ code: "invalid_source" });
  await expect(
    open({ web: keyed, "Not a name": http({ contracts: [], writeKeys: ["b"] }) }),
  ).rejects.toMatchObject({ code: "log_invalid_name" });
  const collector = await open({ web: keyed });
  await collector.close();
  for (const options of [
    { contracts: [], writeKeys: [""] },
    { contracts: [], writeKeys: ["with space"] },
    { contracts: [], writeKeys: ["with:colon"] },
    { contracts: [], writeKeys: ["a", "a"] },
    { contracts: [], cors: { origins: ["shop.example.com"] } },
    { contracts: [], cors: { origins: ["https://shop.example.com/"] } },
    { contracts: [], limits: { depth: 0 } },
    { contracts: [], limits: { depth: 1000 } },
    { contracts: [], limits: { records: NaN } },
    { contracts: [productViewed, productViewed] },
    { contracts: [productViewed, { ...orderPlaced, aliases: ["product_viewed"] }] },
  ]) {
    expect(() => http(options), JSON.stringify(options)).toThrow(WeirError);
  }
});

test("pages of any origin may write by default; CORS says so on every answer", async () => {
  const { url } = await startCollector();
  const origin = "https://shop.example.com";
  const preflight = await fetch(`${url}/v1/events`, {
    method: "OPTIONS",
    headers: {
      origin,
      "access-control-request-method": "POST",
      "access-control-request-headers": "content-type, x-write-key",
    },
  });
  expect(preflight.status).toBe(204);
  expect(Object.fromEntries(preflight.headers)).toMatchObject({
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "POST",
    "access-control-allow-headers": "content-type, x-write-key",
    "access-control-max-age": "7200",
  });
  expect(preflight.headers.has("access-control-allow-credentials")).toBe(false);
  for (const type of ["application/json", "text/csv"]) {
    const answer = await fetch(`${url}/v1/events`, {
      method: "POST",
      body: "{}",
      headers: { origin, "content-type": type },
    });
    expect(answer.headers.get("access-control-allow-origin")).toBe("*");
    expect(answer.headers.get("access-control-expose-headers")).toBe("retry-after");
  }
});

test("a source that names origins takes requests of these pages, and of no page, only", async () => {
  const [shop, blog] = ["https://shop.example.com", "https://blog.example.com"];
  const collector = await startCollector({
    sources: {
      web: http({ contracts: [], writeKeys: ["web"], cors: { origins: [shop] } }),
      blog: http({ contracts: [], writeKeys: ["blog"], cors: { origins: [blog] } }),
    },
  });
  const post = async (key: string, origin?: string) => {
    const headers = { ...json, "x-write-key": key, ...(origin === undefined ? {} : { origin }) };
    const answer = await collector.post("/v1/events", "{}", headers);
    return [answer.status, answer.body["code"], answer.headers.get("access-control-allow-origin")];
  };
  expect(await post("web", shop)).toEqual([202, undefined, shop]);
  expect(await post("web")).toEqual([202, undefined, null]);
  expect(await post("web", blog)).toEqual([403, "origin_not_allowed", blog]);
  expect(await post("web", "https://evil.example.com")).toEqual([403, "origin_not_allowed", null]);
  expect(await post("web", "null")).toEqual([403, "origin_not_allowed", null]);
  expect(collector.logged("web")).toHaveLength(2);
});

test("a key that sends too fast waits as long as Retry-After says; other keys do not", async () => {
  const limits = { requestsPerSecond: 2, bytesPerSecond: 1000 };
  const collector = await startCollector({
    sources: { web: http({ contracts: [], writeKeys: ["a", "b", "c"], limits }) },
  });
  const post = (key: string, body = "{}") =>
    collector.post("/v1/events", body, { ...json, "x-write-key": key });
  const statuses = [await post("a"), await post("a"), await post("a")].map(({ status }) => status);
  expect(statuses).toEqual([202, 202, 429]);
  const refused = await post("a");
  expect(refused).toMatchObject({ status: 429, body: { code: "rate_limited" } });
  expect(refused.headers.get("retry-after")).toBe("1");
  // A large request is let in and leaves a debt.
  expect(await post("b", JSON.stringify({ pad: "x".repeat(10_000) }))).toMatchObject({ status: 202 });
  const indebted = await post("b");
  expect(indebted.status).toBe(429);
  expect(Number(indebted.headers.get("retry-after"))).toBeGreaterThanOrEqual(8);
  expect(await post("c")).toMatchObject({ status: 202 });
  expect(collector.logged()).toHaveLength(4);
  await expect.poll(async () => (await post("a")).status, { timeout: 5000 }).toBe(202);
});

test("requests beyond the memory bound get 503, and the bound is free again afterwards", async () => {
  const { store, fault } = faultyStore(temporaryDirectory());
  const collector = await startCollector({ store, limits: { inFlightBytes: 1000 } });
  let release!: () => void;
  fault.held = new Promise((resolve) => (release = resolve));
  const body = JSON.stringify({ pad: "x".repeat(600) });
  const first = collector.post("/v1/events", body, json);
  await expect.poll(() => collector.stats().inFlightBytes).toBe(body.length);
  const second = await collector.post("/v1/events", body, json);
  expect(second).toMatchObject({ status: 503, body: { code: "overloaded" } });
  expect(second.headers.get("retry-after")).toBe("1");
  // Without a declared length it shows only as the bytes come.
  const stream = new Blob([body]).stream();
  const third = await fetch(`${collector.url}/v1/events`, {
    method: "POST",
    body: stream,
    duplex: "half",
    headers: json,
  });
  expect(third.status).toBe(503);
  release();
  expect(await first).toMatchObject({ status: 202 });
  expect(collector.stats()).toMatchObject({ inFlightBytes: 0, refused: { overloaded: 2 } });
  expect(await collector.post("/v1/events", body, json)).toMatchObject({ status: 202 });
});

test("a log that fails: 503 without a word of its directories, not ready, and ready again when it works", async () => {
  const root = temporaryDirectory();
  const { store, fault } = faultyStore(root);
  const heard: unknown[] = [];
  const collector = await startCollector({ store, onError: (error) => heard.push(error) }, root);
  expect(await get(`${collector.url}/readyz`)).toEqual({ status: 200, body: { ready: true, reasons: [] } });
  fault.error = new WeirError("log_io_error", "write failed: EIO", { where: "/secret/path" });
  const refused = await collector.post("/v1/events", "{}", json);
  expect(refused).toMatchObject({ status: 503, body: { code: "log_io_error" } });
  expect(JSON.stringify(refused.body)).not.toMatch(/secret|EIO/);
  expect(refused.headers.get("retry-after")).toBe("1");
  expect(heard).toEqual([fault.error]);
  const unready = await get(`${collector.url}/readyz`);
  expect(unready).toMatchObject({
    status: 503,
    body: { ready: false, reasons: [{ code: "log_io_error", source: "web" }] },
  });
  expect(await get(`${collector.url}/healthz`)).toMatchObject({ status: 200 });
  // No traffic comes to show that it works again: looking is enough.
  delete fault.error;
  await expect.poll(async () => (await get(`${collector.url}/readyz`)).status).toBe(200);
  expect(await collector.post("/v1/events", "{}", json)).toMatchObject({ status: 202 });
  expect(collector.logged()).toHaveLength(1);
});

test("a full log: 503 until there is room", async () => {
  const root = temporaryDirectory();
  const store = directoryStore(root, { ...free, maxBytes: 50_000, segmentBytes: 1000 });
  const collector = await startCollector({ store, sources: { web: http({ contracts: [productViewed] }) } });
  const body = JSON.stringify({ pad: "x".repeat(9000) });
  let accepted = 0;
  let answer = await collector.post("/v1/events", body, json);
  for (; answer.status === 202 && accepted < 20; accepted++)
    answer = await collector.post("/v1/events", body, json);
  expect(answer).toMatchObject({ status: 503, body: { code: "log_full" } });
  await expect
    .poll(() => get(`${collector.url}/readyz`))
    .toMatchObject({ status: 503, body: { reasons: [{ code: "log_full" }] } });
  for (const ref of await store.sealedAfter("web", "c0", 0, 100)) await store.remove(ref);
  await expect
    .poll(async () => (await collector.post("/v1/events", body, json)).status, { timeout: 10_000 })
    .toBe(202);
  await expect.poll(async () => (await get(`${collector.url}/readyz`)).status).toBe(200);
});

test("a defect is a 500 that says nothing of its cause, and the operator hears of it", async () => {
  const heard: unknown[] = [];
  const clock = () => {
    throw new Error("a defect");
  };
  const collector = await startCollector({ clock, onError: (error) => heard.push(error) });
  const answer = await collector.post("/v1/events", "{}", json);
  expect(answer).toMatchObject({ status: 500, body: { code: "internal_error" } });
  expect(JSON.stringify(answer.body)).not.toContain("a defect");
  expect(heard).toEqual([new Error("a defect")]);
});

test("/contracts shows what is expected, and of which sources", async () => {
  const { url } = await startCollector({
    sources: {
      web: http({ contracts: [productViewed, orderPlaced], writeKeys: ["a"] }),
      app: http({ contracts: [productViewed], writeKeys: ["b"] }),
    },
  });
  const { body } = await get(`${url}/contracts`);
  expect(body).toMatchObject({
    contracts: [
      { name: "order_placed", sources: ["web"] },
      { name: "product_viewed", sources: ["web", "app"] },
    ],
  });
  expect(await get(`${url}/contracts/order_placed`)).toMatchObject({
    status: 200,
    body: {
      version: "2.1.0",
      owner: "sales",
      schema: { type: "object", required: ["order_id", "placed_at"] },
    },
  });
  const head = await fetch(`${url}/contracts`, { method: "HEAD" });
  expect([head.status, await head.text()]).toEqual([200, ""]);
});

test("/api goes to the engine's socket, and says so when nobody listens there", async () => {
  const socket = join(temporaryDirectory(), "engine.sock");
  const collector = await startCollector({ apiSocket: socket });
  const down = await get(`${collector.url}/api/status`);
  expect(down).toMatchObject({ status: 503, body: { code: "engine_unavailable" } });
  expect(await collector.post("/v1/events", "{}", json)).toMatchObject({ status: 202 });

  const engine = createHttpServer((request, response) => {
    if (request.url === "/api/cut") {
      response.writeHead(200, { "content-length": 100 });
      response.write("half", () => response.destroy());
      return;
    }
    response.writeHead(218, { "x-engine": "1", "content-type": "text/plain" });
    request.pipe(
      response.on("pipe", () =>
        response.write(`${request.method} ${request.url} ${String(request.headers["x-forwarded-for"])} `),
      ),
    );
  });
  engine.listen(socket);
  await once(engine, "listening");
  onTestFinished(() => void engine.close());
  const answer = await fetch(`${collector.url}/api/query?x=1`, {
    method: "POST",
    body: "body",
    headers: { "x-forwarded-for": "1.2.3.4" },
  });
  expect([answer.status, answer.headers.get("x-engine"), await answer.text()]).toEqual([
    218,
    "1",
    "POST /api/query?x=1 1.2.3.4, 127.0.0.1 body",
  ]);
  await expect(fetch(`${collector.url}/api/cut`).then((cut) => cut.text())).rejects.toThrow();
  engine.closeAllConnections();
  engine.close();
  await once(engine, "close");
  expect(await get(`${collector.url}/api/status`)).toMatchObject({ status: 503 });
});

test("closing finishes what is under way, accepts nothing new, and seals", async () => {
  const root = temporaryDirectory();
  const { store, fault } = faultyStore(root);
  const collector = await startCollector({ store });
  let release!: () => void;
  fault.held = new Promise((resolve) => (release = resolve));
  const underWay = collector.post("/v1/events", '{"a":1}', json);
  await expect.poll(() => collector.stats().inFlightBytes).toBe(7);
  const idle = exchange(collector.port, () => {}, 1);
  await expect.poll(() => collector.stats().connections).toBe(2);
  const closed = collector.close();
  expect(collector.readiness()).toMatchObject({ ready: false, reasons: [{ code: "shutting_down" }] });
  expect(collector.close()).toBe(closed);
  await expect(fetch(collector.url)).rejects.toThrow();
  expect(await idle).toMatchObject({ answers: [], closed: true });
  release();
  const answer = await underWay;
  expect(answer).toMatchObject({ status: 202 });
  expect(answer.headers.get("connection")).toBe("close");
  await closed;
  const [sealed] = await directoryStore(root, free).sealedAfter("web", "c0", 0, 10);
  expect(sealed).toMatchObject({ number: 1, records: 1 });
});

test("closing answers a connection that was accepted and whose request is on its way", async () => {
  const collector = await startCollector();
  let closed: Promise<void> | undefined;
  const late = exchange(
    collector.port,
    async (socket) => {
      await expect.poll(() => collector.stats().connections).toBe(1);
      closed = collector.close();
      socket.write(
        'POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 7\r\n\r\n{"a":1}',
      );
    },
    1,
  );
  expect((await late).answers).toMatchObject([{ status: 202, headers: { connection: "close" } }]);
  await closed;
});

test("closing cuts off who does not finish in time", async () => {
  const collector = await startCollector({ limits: { closeTimeoutMs: 100 } });
  const slow = exchange(
    collector.port,
    "POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{",
    1,
  );
  await expect.poll(() => collector.stats().inFlightBytes).toBe(1);
  await collector.close();
  expect(await slow).toMatchObject({ answers: [], closed: true });
  expect(collector.logged()).toEqual([]);
});

test("a port that is taken, a socket that another process bound, a stream that another collector writes", async () => {
  const collector = await startCollector();
  const root = temporaryDirectory();
  const options = {
    sources: { web: http({ contracts: [] }) },
    store: directoryStore(root, free),
    writer: "c0",
  };
  await expect(createCollector({ ...options, port: collector.port })).rejects.toMatchObject({
    code: "port_in_use",
  });
  await expect(createCollector({ ...options, host: "203.0.113.1" })).rejects.toMatchObject({
    code: "address_unavailable",
  });
  const held: Server = createServer();
  held.listen({ host: "127.0.0.1", port: 0 });
  await once(held, "listening");
  onTestFinished(() => void held.close());
  const onHandle = await createCollector({ ...options, serverHandle: held });
  expect(onHandle.port).toBe((held.address() as { port: number }).port);
  expect(await get(`${onHandle.url}/healthz`)).toMatchObject({ status: 200 });
  await expect(createCollector({ ...options, port: 0 })).rejects.toMatchObject({ code: "log_writer_locked" });
  await onHandle.close();
});
