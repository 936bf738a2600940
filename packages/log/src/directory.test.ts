import { readFile, rm, truncate, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { directoryStore } from "./directory.ts";
import { allSealed, batch, codeOf, fileNames, readTexts, until } from "./records.fixture.ts";
import type { LogEvent, LogStore, SegmentWriter } from "./store.ts";
import { temporaryDirectory } from "./temporary-directory.fixture.ts";

const free = { minFreeBytes: 0 };

function append(writer: SegmentWriter, ...texts: string[]): Promise<void> {
  const { lines, lengths } = batch(texts);
  return writer.append(lines, lengths);
}

/** One segment for each text. */
async function segments(store: LogStore, texts: readonly string[], writerName = "c0"): Promise<void> {
  const writer = await store.openWriter("web", writerName);
  for (const text of texts) {
    await append(writer, text);
    await writer.seal();
  }
  await writer.close();
}

test("sealedAfter continues where it is told, at most as far as it is told", async () => {
  const store = directoryStore(temporaryDirectory(), free);
  await segments(store, ["a", "b", "c"]);
  const numbers = async (after: number, limit: number) =>
    (await store.sealedAfter("web", "c0", after, limit)).map((ref) => ref.number);
  expect(await numbers(0, 2)).toEqual([1, 2]);
  expect(await numbers(2, 2)).toEqual([3]);
  expect(await numbers(3, 2)).toEqual([]);
  expect(await numbers(0, 0)).toEqual([]);
  expect(await store.sealedAfter("web", "nobody", 0, 9)).toEqual([]);
  const [ref] = await store.sealedAfter("web", "c0", 1, 1);
  const content = await readFile(await store.materialize(ref!));
  expect(ref).toEqual({
    source: "web",
    writer: "c0",
    number: 2,
    records: 1,
    bytes: content.length,
    firstReceivedUs: 1_763_712_000_000_000,
    lastReceivedUs: 1_763_712_000_000_000,
    crc32: ref!.crc32,
  });
});

test("readers, removal and restarts in any order: nothing is skipped, no number used twice", async () => {
  const step = fc.constantFrom("append", "read", "remove", "remove all", "restart");
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const root = join(temporaryDirectory(), "log");
      const store = directoryStore(root, { ...free, sealAfterMs: 60_000 });
      let writer = await store.openWriter("web", "c0");
      let appended = 0;
      let removed = 0;
      let seen = 0;
      for (const one of steps) {
        if (one === "append") {
          await append(writer, `${++appended}`);
          await writer.seal();
        } else if (one === "read") {
          const refs = await allSealed(store, "web", "c0", seen);
          expect(refs.map((ref) => ref.number)).toEqual(
            Array.from(
              { length: appended - Math.max(seen, removed) },
              (_, i) => Math.max(seen, removed) + i + 1,
            ),
          );
          seen = refs.at(-1)?.number ?? seen;
        } else if (one === "restart") {
          await writer.close();
          writer = await store.openWriter("web", "c0");
        } else {
          const refs = await allSealed(store);
          const gone = one === "remove" ? refs.slice(0, 1) : refs.slice(-1);
          for (const ref of gone) await store.remove(ref);
          removed = gone[0]?.number ?? removed;
        }
        expect(await store.heads()).toEqual([{ source: "web", writer: "c0", sealed: appended }]);
      }
      await writer.close();
      const left = Array.from({ length: appended - removed }, (_, i) => `${removed + i + 1}`);
      expect(await readTexts(store)).toEqual(left);
      expect((await fileNames(root)).length).toBe(left.length + (removed > 0 ? 1 : 0));
    }),
    { numRuns: 40 },
  );
});

test("removing twice, at once or what is gone does nothing more", async () => {
  const root = temporaryDirectory();
  const store = directoryStore(root, free);
  await segments(store, ["a", "b", "c", "d"]);
  const refs = await allSealed(store);
  await Promise.all([refs[2]!, refs[0]!, refs[1]!, refs[2]!].map((ref) => store.remove(ref)));
  await store.remove(refs[0]!);
  expect(await readTexts(store)).toEqual(["d"]);
  expect(await codeOf(store.materialize(refs[0]!))).toBe("segment_missing");
});

test("streams and heads: every stream, how far it is sealed, and whether something is open", async () => {
  const root = temporaryDirectory();
  const store = directoryStore(join(root, "log"), { ...free, sealAfterMs: 60_000 });
  expect(await store.streams()).toEqual([]);
  expect(await store.heads()).toEqual([]);
  await segments(store, ["a", "b"], "c1");
  const writer = await store.openWriter("web", "c0");
  await writeFile(join(root, "log/not a source"), "");
  expect(await store.streams()).toEqual([
    { source: "web", writer: "c0" },
    { source: "web", writer: "c1" },
  ]);
  expect(await store.heads()).toEqual([
    { source: "web", writer: "c0", sealed: 0 },
    { source: "web", writer: "c1", sealed: 2 },
  ]);
  await append(writer, "x".repeat(3 << 20), "y");
  expect((await store.heads())[0]).toEqual({ source: "web", writer: "c0", sealed: 0, open: 1 });
  await writer.seal();
  expect((await store.heads())[0]).toEqual({ source: "web", writer: "c0", sealed: 1 });
  await writer.close();
  await writeFile(join(root, "log/web/c0/000000000002.open"), "1\ttorn before its group was complete\n");
  expect((await store.heads())[0]).toEqual({ source: "web", writer: "c0", sealed: 1 });
});

test("a reader at work while segments are written and removed sees each record once, in order", async () => {
  const store = directoryStore(temporaryDirectory(), { ...free, segmentBytes: 400, sealAfterMs: 1 });
  const writer = await store.openWriter("web", "c0");
  const total = 600;
  const writing = (async () => {
    for (let i = 0; i < total; i++) await append(writer, `${i}`);
    await writer.close();
  })();
  const seen: string[] = [];
  let number = 0;
  while (seen.length < total) {
    for (const ref of await store.sealedAfter("web", "c0", number, 8)) {
      const content = await readFile(await store.materialize(ref), "utf8");
      for (const line of content.split("\n").filter((line) => /^[1-9]/.test(line)))
        seen.push(line.split("\t")[6]!);
      expect(ref.number).toBe(number + 1);
      number = ref.number;
      await store.remove(ref);
    }
  }
  await writing;
  expect(seen).toEqual(Array.from({ length: total }, (_, i) => `${i}`));
});

test("a changed, shortened, lengthened or deleted segment is refused", async () => {
  const root = temporaryDirectory();
  const store = directoryStore(root, free);
  await segments(store, ["a", "x".repeat(2_500_000), "c"]);
  const [, ref] = await allSealed(store);
  const path = await store.materialize(ref!);
  const content = await readFile(path);
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.nat(content.length - 1),
        fc.integer({ min: content.length - 400, max: content.length - 1 }),
      ),
      fc.integer({ min: 1, max: 255 }),
      async (at, mask) => {
        const changed = Buffer.from(content);
        changed[at]! ^= mask;
        await writeFile(path, changed);
        expect(await codeOf(store.materialize(ref!))).toBe("segment_corrupt");
      },
    ),
    { numRuns: 60 },
  );
  await writeFile(path, content);
  expect(await store.materialize(ref!)).toBe(path);
  await expect(store.materialize({ ...ref!, records: 2 })).rejects.toMatchObject({
    code: "segment_corrupt",
    where: path,
  });
  await expect(store.materialize({ ...ref!, crc32: 2 })).rejects.toMatchObject({ code: "segment_corrupt" });
  await writeFile(path, Buffer.concat([content, Buffer.from("1\t1\t\t0\t0\t\t{}\n")]));
  expect(await codeOf(store.materialize(ref!))).toBe("segment_corrupt");
  await truncate(path, content.length - 1);
  expect(await codeOf(store.materialize(ref!))).toBe("segment_corrupt");
  expect((await store.sealedAfter("web", "c0", 0, 9)).map((ref) => ref.number)).toEqual([1]);
  expect(await codeOf(store.sealedAfter("web", "c0", 1, 9))).toBe("segment_corrupt");
  await truncate(path, 0);
  expect(await codeOf(store.sealedAfter("web", "c0", 1, 9))).toBe("segment_corrupt");
  await unlink(path);
  expect(await codeOf(store.materialize(ref!))).toBe("segment_missing");
});

test("names that are no names are refused before they become paths", async () => {
  const root = temporaryDirectory();
  const store = directoryStore(join(root, "log"), free);
  for (const name of ["", "..", "a/b", "A", "x".repeat(65), "a.b", "a\0"]) {
    expect(await codeOf(store.openWriter(name, "c0"))).toBe("log_invalid_name");
    expect(await codeOf(store.openWriter("web", name))).toBe("log_invalid_name");
    expect(await codeOf(store.sealedAfter("web", name, 0, 1))).toBe("log_invalid_name");
  }
  expect(await store.streams()).toEqual([]);
});

test("an unreadable floor is an error, not zero", async () => {
  const root = temporaryDirectory();
  const store = directoryStore(root, free);
  await segments(store, ["a"]);
  await store.remove((await allSealed(store))[0]!);
  await rm(join(root, "web/c0/removed"));
  await writeFile(join(root, "web/c0/removed"), "1");
  expect(await codeOf(store.openWriter("web", "c0"))).toBe("log_io_error");
});

test("maxBytes: appends are refused at once, and taken again once segments are removed", async () => {
  const events: string[] = [];
  const onEvent = (event: LogEvent) => events.push(event.kind);
  const options = { ...free, segmentBytes: 10_000, maxBytes: 100_000, onEvent };
  const store = directoryStore(temporaryDirectory(), options, { retryMs: 1 });
  const writer = await store.openWriter("web", "c0");
  let accepted = 0;
  const send = () => append(writer, "x".repeat(1000));
  const isTaken = () =>
    send().then(
      () => true,
      () => false,
    );
  while (await isTaken()) accepted += 1;
  expect(accepted).toBeGreaterThan(70);
  expect(accepted).toBeLessThan(100);
  expect(await codeOf(send())).toBe("log_full");
  expect(writer.stats()).toMatchObject({ full: true, rejected: 2 });
  expect(events).toEqual(["full"]);
  for (const ref of (await allSealed(store)).slice(0, 5)) await store.remove(ref);
  await until(() => !writer.stats().full);
  expect(events).toEqual(["full", "room"]);
  expect(await isTaken()).toBe(true);
  await writer.close();
  const again = await store.openWriter("web", "c0");
  expect(again.stats().diskBytes).toBeGreaterThan(30_000);
  await again.close();
});

test("a log that is emptied as fast as it fills is never refused, however small its bound", async () => {
  const options = { ...free, segmentBytes: 20_000, maxBytes: 200_000 };
  const store = directoryStore(temporaryDirectory(), options);
  const writer = await store.openWriter("web", "c0");
  for (let i = 0; i < 1000; i++) {
    await append(writer, "x".repeat(1000));
    if (i % 50 === 0) for (const ref of await allSealed(store)) await store.remove(ref);
  }
  expect(writer.stats()).toMatchObject({ rejected: 0, records: 1000 });
  await writer.close();
});

test("minFreeBytes: appends are refused where the file system has less", async () => {
  const store = directoryStore(temporaryDirectory(), { minFreeBytes: Number.MAX_SAFE_INTEGER });
  const writer = await store.openWriter("web", "c0");
  await expect(append(writer, "a")).rejects.toMatchObject({ code: "log_full" });
  await writer.close();
});
