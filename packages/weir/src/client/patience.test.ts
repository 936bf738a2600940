/** An engine that is away for a while: what is asked again, what is not, and for how long. */
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { FoundInstance } from "./find.ts";
import { HttpBackend } from "./http-backend.ts";

let directory: string;
let server: http.Server | undefined;
const asked: string[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "weir-patience-"));
  asked.length = 0;
});
afterEach(async () => {
  server?.closeAllConnections();
  await new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
  server = undefined;
  rmSync(directory, { recursive: true });
});

/** From now on there is an engine, which answers or hangs up. */
async function listen(hangsUp: () => boolean = () => false): Promise<void> {
  const listening = http.createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    if (hangsUp()) request.socket.destroy();
    else response.end(JSON.stringify({ id: 1, tasks: [] }));
  });
  server = listening;
  await new Promise<void>((resolve) => listening.listen(join(directory, "engine.sock"), resolve));
}

interface Waiting {
  readonly waitMs?: number;
  readonly isThere?: () => Promise<boolean>;
}

/** What is said while it waits is in `told`. */
function backendOf({ waitMs = 20_000, isThere = () => Promise.resolve(true) }: Waiting = {}) {
  const told: string[] = [];
  const found = { address: { socket: join(directory, "engine.sock") }, file: {} } as FoundInstance;
  return { told, backend: new HttpBackend(found, { waitMs, told: (text) => void told.push(text) }, isThere) };
}

const replay = { from: "2026-01-01" };

test("what nobody heard is asked again until there is an engine, and said once", async () => {
  let looks = 0;
  const { backend, told } = backendOf({
    isThere: async () => {
      if (++looks === 3) await listen();
      return true;
    },
  });
  expect(await backend.askReplay(replay)).toMatchObject({ id: 1 });
  expect(asked).toEqual(["POST /api/replay"]);
  expect(told).toEqual([expect.stringContaining("waiting for it, up to 20 s")]);
});

test("what may have been done is asked again only where that does nothing more", async () => {
  await listen(() => asked.length === 1);
  const { backend } = backendOf();
  await expect(backend.askReplay(replay)).rejects.toMatchObject({ code: "engine_unavailable" });
  expect(asked).toEqual(["POST /api/replay"]);
  asked.length = 0;
  expect(await backend.tasks(1)).toEqual([]);
  expect(asked).toEqual(["GET /api/tasks?limit=1", "GET /api/tasks?limit=1"]);
  asked.length = 0;
  expect(await backend.erase({ identifiers: [{ value: "jane" }] })).toMatchObject({ id: 1 });
  expect(asked).toHaveLength(2);
});

test.each([
  ["when the time is over", { waitMs: 250 }, 1],
  ["when the instance has ended", { isThere: () => Promise.resolve(false) }, 1],
  ["at once where nobody waits", { waitMs: 0 }, 0],
])("it ends %s", async (_, waiting, notes) => {
  const { backend, told } = backendOf(waiting);
  await expect(backend.tasks(1)).rejects.toMatchObject({ code: "engine_unavailable" });
  expect(told).toHaveLength(notes);
});
