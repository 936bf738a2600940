import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { expect, test } from "vitest";
import { Drop } from "./capture.fixture.ts";

const rows = 3_000_000;
const note = "x".repeat(60);

function* lines(format: string): Generator<string, void, undefined> {
  const csv = format.startsWith("csv");
  let text = csv ? "id,seen_at,amount,note\n" : format === "json" ? "[" : "";
  for (let i = 0; i < rows; i++) {
    text += csv
      ? `${i},2026-01-02T03:04:05Z,1.00,"${note}"\n`
      : `${format === "json" && i > 0 ? "," : ""}{"id":"${i}","seen_at":"2026-01-02T03:04:05Z","amount":"1.00","note":"${note}"}\n`;
    if (i % 1000 !== 999) continue;
    yield text;
    text = "";
  }
  yield text + (format === "json" ? "]" : "");
}

test.each(["csv", "csv.gz", "ndjson", "json"])(
  "memory does not go with the size of a file: three million rows of %s, about 300 MB",
  { timeout: 600_000 },
  async (format) => {
    const drop = new Drop();
    const file = createWriteStream(join(drop.root, `a.${format}`));
    const text = Readable.from(lines(format));
    await (format.endsWith(".gz") ? pipeline(text, createGzip({ level: 1 }), file) : pipeline(text, file));
    const abort = new AbortController();
    let appended = 0;
    let most = 0;
    await drop.capture().run({
      source: "drop",
      signal: abort.signal,
      cursor: undefined,
      append: async (records) => {
        appended += records.length;
        const { heapUsed, arrayBuffers } = process.memoryUsage();
        most = Math.max(most, heapUsed + arrayBuffers);
      },
      appendLines: () => Promise.reject(new Error("files make records")),
      saveCursor: async (cursor) => {
        if (JSON.stringify(cursor).includes('"progress":null')) abort.abort();
      },
      report: () => {},
      log: () => {},
    });
    expect(appended).toBe(rows);
    expect(most).toBeLessThan(250_000_000);
  },
);
