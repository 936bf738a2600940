import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { directoryStore } from "@weir/log";
import type { LogStore } from "@weir/log";
import { afterEach, beforeEach, expect, test } from "vitest";
import { changeRecord, runCapture } from "./index.ts";
import type { Capture, CaptureContext } from "./index.ts";

let dataDir: string;
let store: LogStore;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "weir-capture-"));
  store = directoryStore(join(dataDir, "log"), { minFreeBytes: 0 });
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const start = (run: (context: CaptureContext) => Promise<void>): ReturnType<typeof runCapture> => {
  const capture: Capture = { check: () => Promise.resolve([]), run };
  return runCapture({ source: "db", capture, store, dataDir, log: () => {} });
};

/** The columns after the first of every record of the source. */
async function logged(): Promise<string[][]> {
  const lines: string[][] = [];
  for (const ref of await store.sealedAfter("db", "capture", 0, 100)) {
    const text = readFileSync(await store.materialize(ref), "utf8");
    for (const line of text.split("\n").slice(0, -1)) {
      const [number, , ...rest] = line.split("\t");
      if (Number(number) > 0) lines.push(rest);
    }
  }
  return lines;
}

const change = (id: string): ReturnType<typeof changeRecord> =>
  changeRecord("db", {
    id,
    at: "2026-01-01T00:00:00Z",
    stream: "public.orders",
    op: "insert",
    key: '["1"]',
    version: "1",
    row: { id: "1", note: "a\tb\né" },
  });

test("what was appended is in the log when stop resolves, and the next run goes on from the cursor", async () => {
  const seen: unknown[] = [];
  const run = async (context: CaptureContext): Promise<void> => {
    seen.push(context.cursor);
    await context.append([change(`after ${JSON.stringify(context.cursor)}`)]);
    await context.saveCursor({ at: seen.length });
    await new Promise<void>((resolve) => context.signal.addEventListener("abort", () => resolve()));
  };
  for (let i = 0; i < 3; i++) {
    const running = await start(run);
    await expect.poll(() => readCursor()).toEqual({ at: i + 1 });
    await running.stop();
  }
  expect(seen).toEqual([undefined, { at: 1 }, { at: 2 }]);
  const texts = (await logged()).map(([contract, keys, nulls, error, text]) => {
    expect([contract, keys, nulls, error]).toEqual(["db", "7", "0", ""]);
    return JSON.parse(text ?? "") as { id: string; row: unknown };
  });
  expect(texts.map(({ id }) => id)).toEqual(["after undefined", 'after {"at":1}', 'after {"at":2}']);
  expect(texts[0]?.row).toEqual({ id: "1", note: "a\tb\né" });
});

test("what cannot be read keeps its bytes and says why, on one line", async () => {
  const running = await start(async (context) => {
    const bytes = Buffer.from([0xff, 0x09, 0x0a]);
    await context.append([
      { contract: "pay\tment", error: "invalid_utf8", detail: "row 7\nof x.csv", bytes },
    ]);
  });
  await running.ended;
  expect(await logged()).toEqual([["pay ment", "0", "0", "invalid_utf8: row 7 of x.csv", "/wkK"]]);
});

test("an error of the capture ends it, with the stream free for the next", async () => {
  const running = await start(() => Promise.reject(new Error("the database is gone")));
  await expect(running.ended).rejects.toThrow("the database is gone");
  await (
    await start(() => Promise.resolve())
  ).ended;
});

test("two of one source do not run at once", async () => {
  const running = await start(
    ({ signal }) => new Promise((resolve) => signal.addEventListener("abort", () => resolve())),
  );
  await expect(start(() => Promise.resolve())).rejects.toMatchObject({ code: "log_writer_locked" });
  await running.stop();
});

test("a cursor that cannot be read is not taken for none", async () => {
  await (
    await start((context) => context.saveCursor({ at: 1 }))
  ).ended;
  writeFileSync(join(dataDir, "capture", "db.json"), '{"at": ');
  await expect(start(() => Promise.resolve())).rejects.toMatchObject({ code: "capture_cursor_unreadable" });
});

function readCursor(): unknown {
  try {
    return JSON.parse(readFileSync(join(dataDir, "capture", "db.json"), "utf8")) as unknown;
  } catch {
    return undefined;
  }
}
