import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
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
