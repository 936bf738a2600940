import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { RowStore } from "./row-store.ts";

const folder = mkdtempSync(join(tmpdir(), "weir-rows-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let made = 0;
const storeOf = (grouped: boolean, segmentBytes: number): RowStore =>
  new RowStore({ directory: join(folder, String(made++)), grouped, segmentBytes });
const noPause = (): Promise<void> => Promise.resolve();

type Step =
  | { readonly do: "put"; readonly key: number; readonly length: number }
  | { readonly do: "remove"; readonly key: number }
  | { readonly do: "publish" | "discard" | "clean" };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({ do: fc.constant("put" as const), key: fc.nat(40), length: fc.nat(300) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("remove" as const), key: fc.nat(40) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("publish" as const, "discard", "clean") }) },
);

/** Keys and rows with characters of one to four bytes. */
const keyText = (key: number): string => JSON.stringify([`key-${key}-é😀`.slice(0, 5 + (key % 9))]);
const groupOf = (key: number): string => `g${key % 5}`;

test("it has what was published, whatever is put, removed, discarded and cleaned", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 200 }), fc.boolean(), async (steps, grouped) => {
      const store = storeOf(grouped, 2_000);
      const published = new Map<string, { group: string; row: string }>();
      let staged = new Map<string, { group: string; row: string } | undefined>();
      for (const [at, one] of steps.entries()) {
        if (one.do === "put" || one.do === "remove") {
          const key = keyText(one.key);
          if (staged.has(key)) continue;
          if (one.do === "remove") {
            store.remove(key);
            staged.set(key, undefined);
          } else {
            const row = JSON.stringify({ at, text: "x".repeat(one.length) });
            store.put({ key, group: groupOf(one.key), order: key, row });
            staged.set(key, { group: groupOf(one.key), row });
          }
        } else if (one.do === "publish") {
          store.publish();
          for (const [key, value] of staged) {
            if (value === undefined) published.delete(key);
            else published.set(key, value);
          }
          staged = new Map();
        } else if (one.do === "discard") {
          store.discard();
          staged = new Map();
        } else if (staged.size === 0) await store.clean(noPause);
      }
      expect(store.size).toBe(published.size);
      for (let key = 0; key <= 40; key++) {
        expect(store.get(keyText(key))?.toString()).toBe(published.get(keyText(key))?.row);
      }
      if (grouped) {
        for (let group = 0; group < 5; group++) {
          const rows = store.group(`g${group}`, 1_000)?.map(({ row }) => row.toString());
          const expected = [...published.values()].filter((value) => value.group === `g${group}`);
          expect(rows?.sort()).toEqual(expected.map(({ row }) => row).sort());
        }
      }
      store.close();
    }),
    { numRuns: 150 },
  );
});

test("keys whose hashes share a slot, and groups that share a list", () => {
  const store = storeOf(true, 1 << 20);
  for (let i = 0; i < 50_000; i++) {
    store.put({ key: `[${i}]`, group: `${i % 10}`, order: "", row: `{"i":${i}}` });
    if (i % 5_000 === 4_999) store.publish();
  }
  for (let i = 0; i < 50_000; i += 2) store.remove(`[${i}]`);
  store.publish();
  expect(store.size).toBe(25_000);
  for (let i = 0; i < 50_000; i++) {
    expect(store.get(`[${i}]`)?.toString()).toBe(i % 2 === 0 ? undefined : `{"i":${i}}`);
  }
  expect(store.group("2", 10)).toEqual([]);
  expect(store.group("3", 10_000)).toHaveLength(5_000);
  expect(store.group("3", 4_999)).toBeUndefined();
  store.close();
});

test("files that are mostly dead are removed: their size stays within a bound", async () => {
  const directory = join(folder, "bounded");
  const store = new RowStore({ directory, grouped: false, segmentBytes: 100_000 });
  const row = JSON.stringify({ text: "y".repeat(200) });
  let most = 0;
  for (let round = 0; round < 50; round++) {
    for (let key = 0; key < 500; key++) store.put({ key: `[${key}]`, group: "", order: "", row });
    store.publish();
    await store.clean(noPause);
    most = Math.max(most, store.fileBytes);
  }
  // 500 live rows of 230 bytes; half of each full file may be dead, and the last one is not cleaned.
  expect(most).toBeLessThan(2 * 500 * 230 + 200_000);
  expect(readdirSync(directory).length).toBeLessThan(6);
  expect(store.get("[499]")?.toString()).toBe(row);
  store.close();
  expect(existsSync(directory)).toBe(false);
});

test("a row larger than the buffer and the file", () => {
  const store = storeOf(false, 1_000);
  const row = JSON.stringify("z".repeat(400_000));
  for (const key of ["[1]", "[2]"]) store.put({ key, group: "", order: "", row });
  store.put({ key: `["${"k".repeat(1_000)}"]`, group: "", order: "", row: "{}" });
  store.publish();
  expect(store.get("[2]")?.toString()).toBe(row);
  expect(store.get(`["${"k".repeat(1_000)}"]`)?.toString()).toBe("{}");
  store.put({ key: `["${"k".repeat(1_000)}"]`, group: "", order: "", row: "[]" });
  store.publish();
  expect(store.size).toBe(3);
  store.close();
});
