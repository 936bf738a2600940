import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { EngineProxy } from "./engine-proxy.ts";
import { FrameReader, frameOf, lookupSocketOf } from "./lookup-frames.ts";
import type { Frame, LookupQuestion } from "./lookup-frames.ts";

/** A proxy before an engine that answers HTTP with "by HTTP", and lookups as told. */
async function proxied(answer: (socket: Socket, frame: Frame, question: LookupQuestion) => void) {
  const directory = mkdtempSync(join(tmpdir(), "weir-channel-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, "engine.sock");
  const engine = createHttpServer((_, response) => response.end("by HTTP")).listen(path);
  const connections: Socket[] = [];
  const lookups = createServer((socket) => {
    const reader = new FrameReader();
    connections.push(socket);
    socket.on("error", () => undefined);
    socket.on("data", (piece: Buffer) => {
      for (const frame of reader.read(piece)) answer(socket, frame, JSON.parse(frame.head) as LookupQuestion);
    });
  }).listen(lookupSocketOf(path));
  const proxy = new EngineProxy(path);
  const server = createHttpServer((request, response) => proxy.handle(request, response)).listen(0);
  await Promise.all([engine, lookups, server].map((one) => once(one, "listening")));
  onTestFinished(() => {
    for (const socket of connections) socket.destroy();
    for (const one of [engine, server]) one.closeAllConnections();
    for (const one of [engine, lookups, server]) one.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, proxy, connections, lookups };
}

const rows = (socket: Socket, number: number, text: string): boolean =>
  socket.write(frameOf(number, { status: 203, headers: { "weir-as-of": 7 } }, Buffer.from(text)));

test("lookups share one connection, and each gets its own reply, whatever their order", async () => {
  const held: (() => void)[] = [];
  const { url, connections } = await proxied((socket, { number }, asked) => {
    held.push(() => rows(socket, number, `${asked.url} ${String(asked.headers["authorization"])}`));
    if (held.length === 20) for (const reply of held.toReversed()) reply();
  });
  const headers = { authorization: "Bearer me" };
  const asked = Array.from({ length: 20 }, (_, i) => `/api/tables/t?key=${i}`);
  const replies = await Promise.all(asked.map((path) => fetch(url + path, { headers })));
  expect(replies.map(({ status }) => status)).toEqual(asked.map(() => 203));
  expect(replies.map((reply) => reply.headers.get("weir-as-of"))).toEqual(asked.map(() => "7"));
  expect(await Promise.all(replies.map((reply) => reply.text()))).toEqual(
    asked.map((path) => `${path} Bearer me`),
  );
  expect(connections.length).toBe(1);
});

test("what is no lookup, or too large for the channel, goes by HTTP", async () => {
  const { url } = await proxied((socket, { number }) =>
    socket.write(frameOf(number, { status: 0, headers: {} })),
  );
  for (const path of ["/api/tables/t?key=1", "/api/tables", "/api/tables/t/changes", "/api/status"])
    expect(await (await fetch(url + path)).text()).toBe("by HTTP");
});

test("a channel that breaks with questions under way loses none, and is there again for the next", async () => {
  let breaks = true;
  const { url, connections } = await proxied((socket, { number }) => {
    if (breaks) socket.destroy();
    else rows(socket, number, "by channel");
  });
  const ask = async (): Promise<string> => (await fetch(`${url}/api/tables/t?key=1`)).text();
  expect(await Promise.all([ask(), ask(), ask()])).toEqual(["by HTTP", "by HTTP", "by HTTP"]);
  breaks = false;
  expect(await ask()).toBe("by channel");
  const garbage = Buffer.alloc(12, 0xff);
  connections.at(-1)?.write(garbage);
  await once(connections.at(-1) as Socket, "close");
  expect(await ask()).toBe("by channel");
});

test("a client that went away holds nobody up; closing answers what was asked and then hangs up", async () => {
  const held: { socket: Socket; number: number }[] = [];
  const { url, proxy, connections } = await proxied((socket, { number }) => held.push({ socket, number }));
  const gone = new AbortController();
  const lost = fetch(`${url}/api/tables/t?key=1`, { signal: gone.signal }).catch(
    (error: Error) => error.name,
  );
  const waits = fetch(`${url}/api/tables/t?key=2`);
  while (held.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
  gone.abort();
  expect(await lost).toBe("AbortError");
  proxy.close();
  const ended = once(connections[0] as Socket, "close");
  for (const { socket, number } of held) rows(socket, number, "late");
  expect(await (await waits).text()).toBe("late");
  await ended;
});
