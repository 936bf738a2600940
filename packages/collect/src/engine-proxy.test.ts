import { EventEmitter, once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { expect, onTestFinished, test } from "vitest";
import { EngineProxy } from "./engine-proxy.ts";

/** An engine that answers as soon as it has a request, on a thread of its own so that it may overtake the proxy. */
const engine = `
const { createServer } = require("node:http");
const { parentPort, workerData } = require("node:worker_threads");
const answer = (request, response) =>
  request.resume().on("end", () => response.writeHead(200, { "content-length": 2 }).end("{}"));
createServer(answer).listen(workerData, () => parentPort.postMessage("ready"));
`;

test("an engine that answers at once is not taken for one that is down", async () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-proxy-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const worker = new Worker(engine, { eval: true, workerData: join(directory, "engine.sock") });
  onTestFinished(async () => void (await worker.terminate()));
  await once(worker, "message");
  const proxy = new EngineProxy(join(directory, "engine.sock"));
  const server = createServer((request, response) => proxy.handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/query`;
  const ask = async (): Promise<number[]> => {
    const found: number[] = [];
    for (let i = 0; i < 100; i++) {
      const response = await fetch(url, { method: "POST", body: "{}" });
      await response.arrayBuffer();
      found.push(response.status);
    }
    return found;
  };
  const found = (await Promise.all(Array.from({ length: 8 }, ask))).flat();
  expect(new Set(found)).toEqual(new Set([200]));
});

/** A proxy, and an engine that answers as told. */
async function proxied(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<{ url: string; proxy: EngineProxy; restart: () => Promise<void> }> {
  const directory = mkdtempSync(join(tmpdir(), "weir-proxy-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const socket = join(directory, "engine.sock");
  const start = async (): Promise<Server> => {
    const server = createServer(answer);
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    return server;
  };
  let engine = await start();
  const proxy = new EngineProxy(socket);
  const server = createServer((request, response) => proxy.handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
    engine.closeAllConnections();
    engine.close();
  });
  const restart = async (): Promise<void> => {
    engine.closeAllConnections();
    await new Promise((resolve) => engine.close(resolve));
    engine = await start();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, proxy, restart };
}

test("reads share connections, and none is lost to one that died with the engine", async () => {
  const connections = new Set<Socket>();
  const { url, restart } = await proxied((request, response) => {
    connections.add(request.socket);
    response.end(request.url);
  });
  const ask = async (): Promise<string> => (await fetch(`${url}/api/tables/t?key=1`)).text();
  for (let i = 0; i < 5; i++) expect(await ask()).toBe("/api/tables/t?key=1");
  expect(connections.size).toBe(1);
  for (let i = 0; i < 20; i++) {
    await restart();
    expect(await ask()).toBe("/api/tables/t?key=1");
  }
  expect(connections.size).toBe(21);
});

test("events pass at once, and streams end with the proxy", async () => {
  let engineSide: ServerResponse | undefined;
  const { url, proxy } = await proxied((_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.flushHeaders();
    engineSide = response;
  });
  const response = await fetch(`${url}/api/tables/t/changes`);
  const reader = response.body?.getReader();
  for (const event of ["a", "b"]) {
    engineSide?.write(`data: ${event}\n\n`);
    const { value } = (await reader?.read()) ?? {};
    expect(new TextDecoder().decode(value)).toBe(`data: ${event}\n\n`);
  }
  const left = once(engineSide ?? new EventEmitter(), "close");
  proxy.close();
  await expect(reader?.read()).rejects.toThrow();
  await left;
});
