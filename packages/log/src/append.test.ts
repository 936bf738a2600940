import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { directoryStore } from "./directory.ts";
import type { FileSystem } from "./file-system.ts";
import { realFileSystem } from "./file-system.ts";
import { allSealed, batch, codeOf, fileNames, readStream, readTexts, until } from "./records.fixture.ts";
import { temporaryDirectory } from "./temporary-directory.fixture.ts";

const free = { minFreeBytes: 0 };

/** A file system whose syncs wait for `release`. */
function heldFileSystem(): { files: FileSystem; release: () => void; waiting: () => number } {
  let waiting: (() => void)[] = [];
  const files: FileSystem = {
    ...realFileSystem,
    sync: async (file) => {
      await new Promise<void>((resolve) => waiting.push(resolve));
      await realFileSystem.sync(file);
    },
  };
  const release = () => {
    for (const resolve of waiting.splice(0)) resolve();
  };
  return { files, release, waiting: () => waiting.length };
}

type Step = { append: string[]; us: number } | "seal" | "wait";

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      append: fc.array(fc.stringMatching(/^[ -~é]{0,60}$/), { maxLength: 6 }),
      us: fc.integer({ min: 1, max: 2 ** 51 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant("seal" as const) },
  { weight: 2, arbitrary: fc.constant("wait" as const) },
);

test("the files hold what was acknowledged, in the order of the appends, whatever the interleaving", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60 }),
      fc.integer({ min: 1, max: 2000 }),
      async (steps, segmentBytes) => {
        const root = join(temporaryDirectory(), "log");
        const store = directoryStore(root, { ...free, segmentBytes, sealAfterMs: 3 });
        const writer = await store.openWriter("web", "c0");
        const expected: { text: string; receivedUs: number }[] = [];
        const promises: Promise<void>[] = [];
        for (const one of steps) {
          if (one === "seal") promises.push(writer.seal());
          else if (one === "wait") await Promise.all(promises.slice(-3));
          else {
            const { lines, lengths } = batch(one.append, one.us);
            promises.push(writer.append(lines, lengths));
            lines.fill(0); // it must have been copied
            expected.push(...one.append.map((text) => ({ text, receivedUs: one.us })));
          }
        }
        await Promise.all(promises);
        expect(writer.stats().records).toBe(expected.length);
        await writer.close();
        const read = await readStream(store);
        expect(read.map(({ text, receivedUs }) => ({ text, receivedUs }))).toEqual(expected);
        expect((await fileNames(root)).every((name) => name.endsWith(".seg"))).toBe(true);
      },
    ),
    { numRuns: 60 },
  );
});

test("appends that arrive while a group is being synced share the next one", async () => {
  const { files, release, waiting } = heldFileSystem();
  const store = directoryStore(temporaryDirectory(), { ...free, sealAfterMs: 60_000 }, { files });
  const writer = await store.openWriter("web", "c0");
  let acknowledged = 0;
  const append = async (text: string) => {
    const { lines, lengths } = batch([text]);
    await writer.append(lines, lengths);
    acknowledged += 1;
  };
  const first = append("first");
  await until(() => waiting() === 1);
  const later = Array.from({ length: 50 }, (_, i) => append(`later ${i}`));
  expect(writer.stats().pendingBytes).toBeGreaterThan(50 * 40);
  expect(acknowledged).toBe(0);
  release();
  await first;
  await until(() => waiting() === 1);
  expect(acknowledged).toBe(1);
  release();
  await Promise.all(later);
  const { groups, records, sync, pendingBytes } = writer.stats();
  expect({ groups, records, syncs: sync.count, pendingBytes }).toEqual({
    groups: 2,
    records: 51,
    syncs: 2,
    pendingBytes: 0,
  });
  const closed = writer.close();
  await until(() => waiting() === 1);
  release();
  await closed;
});

test("a segment is sealed by age, an empty one never", async () => {
  const root = temporaryDirectory();
  const store = directoryStore(root, { ...free, sealAfterMs: 20 });
  const writer = await store.openWriter("web", "c0");
  const { lines, lengths } = batch(["a", "b"]);
  await writer.append(lines, lengths);
  expect(await fileNames(root)).toEqual(["000000000001.open"]);
  await until(async () => (await allSealed(store)).length === 1);
  await writer.seal();
  await writer.append(new Uint8Array(), new Uint32Array());
  await writer.close();
  expect(await fileNames(root)).toEqual(["000000000001.seg"]);
});

test("markers are log lines: groups and the seal, with the sums of what they speak of", async () => {
  const root = temporaryDirectory();
  const store = directoryStore(root, free);
  const writer = await store.openWriter("web", "c0");
  const { lines, lengths } = batch(['{"a":1}', '{"b":2}'], 1_700_000_000_000_000);
  await writer.append(lines, lengths);
  await writer.close();
  const content = await readFile(join(root, "web/c0/000000000001.seg"), "utf8");
  // The sums are those of Python's zlib.crc32.
  expect(content).toBe(
    '1\t1700000000000000\tview@1.0.0\t1\t0\t\t{"a":1}\n' +
      '2\t1700000000000000\tview@1.0.0\t1\t0\t\t{"b":2}\n' +
      "0\t1700000000000000\t#group\t0\t0\t\t" +
      '{"records":2,"bytes":86,"crc32":991628760,"firstReceivedUs":1700000000000000,"lastReceivedUs":1700000000000000,"check":3883319023}\n' +
      "0\t1700000000000000\t#seal\t0\t0\t\t" +
      '{"records":2,"bytes":248,"crc32":1666490449,"firstReceivedUs":1700000000000000,"lastReceivedUs":1700000000000000,"check":639704084}\n',
  );
});

test("records larger than the buffers, and very many small ones", async () => {
  const store = directoryStore(temporaryDirectory(), { ...free, segmentBytes: 1 << 20 });
  const writer = await store.openWriter("web", "c0");
  const texts = [
    "x".repeat(3 << 20),
    ...Array.from({ length: 30_000 }, (_, i) => `${i}`),
    "y".repeat(9 << 20),
  ];
  const appends = [texts.slice(0, 1), texts.slice(1, 30_001), texts.slice(30_001)].map((part) => {
    const { lines, lengths } = batch(part);
    return writer.append(lines, lengths);
  });
  await Promise.all(appends);
  await writer.close();
  expect(await readTexts(store)).toEqual(texts);
});

test("wrongly framed lines are refused and leave no trace", async () => {
  const store = directoryStore(temporaryDirectory(), free);
  const writer = await store.openWriter("web", "c0");
  const good = batch(["good"]);
  const bad: [string, number[]][] = [
    ["1\ta\n", []],
    ["1\ta\n2\tb\n", [8]],
    ["1\ta\n2\tb\n", [4]],
    ["1\ta\n2\tb\n", [4, 4, 0]],
    ["1\ta\n2\tb", [4, 3]],
    ["1\ta\n2\tb\n", [3, 5]],
    ["\ta\n", [3]],
    ["x\ta\n", [4]],
    ["1\n", [2]],
  ];
  for (const [lines, lengths] of bad) {
    const refused = writer.append(Buffer.from(lines), Uint32Array.from(lengths));
    await expect(refused, JSON.stringify([lines, lengths])).rejects.toThrow(RangeError);
  }
  await writer.append(good.lines, good.lengths);
  await writer.close();
  expect(await readTexts(store)).toEqual(["good"]);
});

test("what waits for the disk is bounded", async () => {
  const { files, release, waiting } = heldFileSystem();
  const store = directoryStore(temporaryDirectory(), { ...free, maxPendingBytes: 1000 }, { files });
  const writer = await store.openWriter("web", "c0");
  const large = batch(["x".repeat(1000)]);
  expect(await codeOf(writer.append(large.lines, large.lengths))).toBe("log_append_too_large");
  const { lines, lengths } = batch(["x".repeat(600)]);
  const kept = [writer.append(lines, lengths)];
  await until(() => waiting() === 1);
  kept.push(writer.append(lines, lengths));
  expect(await codeOf(writer.append(lines, lengths))).toBe("log_overloaded");
  release();
  await kept[0];
  await until(() => waiting() === 1);
  kept.push(writer.append(lines, lengths));
  release();
  await kept[1];
  await until(() => waiting() === 1);
  release();
  await Promise.all(kept);
  expect(writer.stats()).toMatchObject({ records: 3, rejected: 2 });
  const closed = writer.close();
  await until(() => waiting() === 1);
  release();
  await closed;
});

test("a closed writer refuses, keeps what it had, and gives the stream free", async () => {
  const store = directoryStore(temporaryDirectory(), free);
  const writer = await store.openWriter("web", "c0");
  const { lines, lengths } = batch(["before"]);
  const before = writer.append(lines, lengths);
  const closed = writer.close();
  expect(await codeOf(writer.append(lines, lengths))).toBe("log_writer_closed");
  await Promise.all([before, closed, writer.close()]);
  const next = await store.openWriter("web", "c0");
  await next.append(lines, lengths);
  await next.close();
  expect((await readStream(store)).map(({ number, line }) => [number, line])).toEqual([
    [1, 1],
    [2, 1],
  ]);
});
