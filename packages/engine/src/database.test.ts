import { mkdtempSync, readFileSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { Database } from "./database.ts";

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

const open = async (settings: { keepBlocks?: boolean } = {}): Promise<Database> => {
  const directory = mkdtempSync(join(tmpdir(), "weir-database-"));
  directories.push(directory);
  return await Database.open(join(directory, "weir.duckdb"), join(directory, "tmp"), {
    memoryLimit: "256MB",
    ...settings,
  });
};

/** Many statements in one text: DuckDB waits for itself for ever when its connection is closed between two of them. */
const many = "SELECT 1;".repeat(3_000);

test("a connection that is closed while a text of statements runs is closed once the text has ended", async () => {
  const database = await open();
  for (let i = 0; i < 8; i++) {
    const sql = await database.connect();
    const running = sql.run(many);
    await delay(i % 7);
    sql.close();
    await expect(sql.run("SELECT 1")).rejects.toThrow("the connection is closed");
    await running;
  }
  await database.close();
});

test("a database that closes interrupts what runs", async () => {
  for (let i = 0; i < 5; i++) {
    const database = await open();
    const others = await Promise.all(Array.from({ length: 3 }, () => database.connect()));
    const running = others.map(async (sql) => {
      for (;;) await sql.run(many);
    });
    const ended = Promise.allSettled(running);
    await delay(i);
    await database.close();
    for (const { status } of await ended) expect(status).toBe("rejected");
  }
});

test("a database that is closed again, at once or later, is closed once", async () => {
  const database = await open();
  await Promise.all([database.close(), database.close()]);
  await database.close();
  await expect(database.connect()).rejects.toThrow("closed");
});

test("what does not fit into memory takes no more than half of the free disk", async () => {
  const database = await open();
  const sql = await database.connect();
  const { spill } = await sql.row<{ spill: string }>(
    "SELECT current_setting('max_temp_directory_size') AS spill",
  );
  const [, number = "", unit = ""] = /^([\d.]+) ([KMGT]iB)$/.exec(spill) ?? [];
  const bytes = Number(number) * 1024 ** (["KiB", "MiB", "GiB", "TiB"].indexOf(unit) + 1);
  const { bavail, bsize } = statfsSync(tmpdir());
  expect(bytes / (bavail * bsize)).toBeGreaterThan(0.3);
  expect(bytes / (bavail * bsize)).toBeLessThan(0.7);
  await database.close();
});

/** What the process may write to, used or not: what its bound counts (see memory-bound.ts of the command). */
const reservedMegabytes = (): number =>
  Number(/^VmData:\s+(\d+) kB/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) / 1024;

test.runIf(process.platform === "linux")(
  "a database beside another one reserves no memory that it may never use",
  async () => {
    const own = await open();
    const before = reservedMegabytes();
    const beside = [await open({ keepBlocks: false }), await open({ keepBlocks: false })];
    expect(reservedMegabytes() - before).toBeLessThan(1024);
    for (const database of [own, ...beside]) await database.close();
  },
);
