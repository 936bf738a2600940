/** The id store across restarts: what it was told it knows, also after runs were merged and others followed. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { Database } from "./database.ts";
import type { Sql } from "./database.ts";
import { IdStore } from "./ids/id-store.ts";
import { idColumns } from "./ids/recent-ids.ts";
import type { BatchIds } from "./ids/id-index.ts";
import { prepareSchema } from "./schema.ts";
import { resolveSettings } from "./settings.ts";

const settings = { ...resolveSettings({ memoryLimit: "256MB" }), recentIds: 10 };

interface Opened {
  readonly sql: Sql;
  readonly store: IdStore;
  close(): Promise<void>;
}

async function open(directory: string): Promise<Opened> {
  const database = await Database.open(join(directory, "weir.duckdb"), join(directory, "tmp"), settings);
  const sql = await database.connect();
  await prepareSchema(sql);
  const store = await IdStore.open(sql, join(directory, "ids"), settings);
  const close = async (): Promise<void> => {
    await store.close();
    await database.close();
  };
  return { sql, store, close };
}

/** Ids from `from` on, each with its own number as all that is known of it. */
function batch(from: number, size: number): BatchIds {
  const ids = { ...idColumns(size), row: new Float64Array(size), size };
  for (let i = 0; i < size; i++) {
    // Spread over the hash space as md5 does.
    ids.h0[i] = Math.imul(from + i, 0x9e3779b1) >>> 0;
    ids.h1[i] = Math.imul(from + i, 0x85ebca6b) >>> 0;
    ids.time[i] = BigInt(from + i);
    ids.content[i] = BigInt(from + i);
    ids.row[i] = from + i;
  }
  return ids;
}

/** Takes ten ids in as a commit does, and lets the store make a run of them. */
async function commit({ sql, store }: Opened, from: number): Promise<void> {
  const ids = batch(from, 10);
  expect(await store.index.take(ids)).toEqual({ duplicates: [], superseded: [] });
  const rows = [...ids.h0].map(
    (h0, i) => `(${h0}, ${ids.h1[i]}, 0, 0, ${ids.time[i]}, ${ids.content[i]}, 1)`,
  );
  await sql.run(`INSERT INTO db.weir.id_recent VALUES ${rows.join(", ")}`);
  await store.maintain(sql, from);
}

async function merge({ sql, store }: Opened): Promise<void> {
  const failed = await new Promise<unknown>((resolve) => {
    const exclusive = async (step: () => Promise<void>): Promise<void> => {
      await step();
      resolve(undefined);
    };
    store.startMerge(sql, exclusive, resolve);
  });
  expect(failed).toBeUndefined();
}

test("a run that follows a merge and a restart does not take the place of the merged one", async () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-ids-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const first = await open(directory);
  for (let i = 0; i < 8; i++) await commit(first, i * 10);
  expect(first.store.index.stats()).toMatchObject({ runs: 8, recent: 0 });
  await merge(first);
  expect(first.store.index.stats()).toMatchObject({ runs: 1, known: 80 });
  await first.close();

  const second = await open(directory);
  for (let i = 8; i < 11; i++) await commit(second, i * 10);
  await second.close();

  const third = await open(directory);
  expect(third.store.index.stats()).toMatchObject({ known: 110 });
  expect((await third.store.index.take(batch(0, 120))).duplicates).toEqual(
    Array.from({ length: 110 }, (_, i) => i),
  );
  await third.close();
});
