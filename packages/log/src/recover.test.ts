import { mkdir, readFile, readdir, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { directoryStore } from "./directory.ts";
import { allSealed, batch, fileNames, parseRecords, readStream, readTexts } from "./records.fixture.ts";
import type { LogEvent } from "./store.ts";
import { temporaryDirectory } from "./temporary-directory.fixture.ts";

const free = { minFreeBytes: 0 };
const groups = [["a1", "a2"], ["b1"], ["c1", "c2 é", "c3"], ["d1"]];

interface Sample {
  /** An open segment of four groups, and the same with its seal. */
  readonly open: Buffer;
  readonly sealed: Buffer;
  /** Where each group ends, marker included. */
  readonly ends: number[];
}

async function sample(): Promise<Sample> {
  const root = temporaryDirectory();
  const writer = await directoryStore(root, { ...free, sealAfterMs: 60_000 }).openWriter("web", "c0");
  const path = join(root, "web/c0/000000000001");
  const ends: number[] = [];
  for (const [i, texts] of groups.entries()) {
    const { lines, lengths } = batch(texts, 1_763_712_000_000_000 + i);
    await writer.append(lines, lengths);
    ends.push((await stat(`${path}.open`)).size);
  }
  const open = await readFile(`${path}.open`);
  await writer.close();
  return { open, sealed: await readFile(`${path}.seg`), ends };
}

interface Recovery {
  readonly texts: string[];
  readonly cutBytes: number;
  readonly damagedBytes: number;
  readonly events: LogEvent[];
  readonly root: string;
}

/** Lets a writer open and close the stream in which a crash left these files. */
async function recover(content: Record<string, Uint8Array>, root = temporaryDirectory()): Promise<Recovery> {
  await mkdir(join(root, "web/c0"), { recursive: true });
  for (const [name, bytes] of Object.entries(content)) await writeFile(join(root, "web/c0", name), bytes);
  const events: LogEvent[] = [];
  const store = directoryStore(root, { ...free, onEvent: (event) => events.push(event) });
  const writer = await store.openWriter("web", "c0");
  const { cutBytes, damagedBytes } = writer.stats();
  await writer.close();
  return { texts: await readTexts(store), cutBytes, damagedBytes, events, root };
}

const first = "000000000001.open";

function completeBefore(ends: readonly number[], offset: number): string[] {
  return groups.filter((_, i) => ends[i]! <= offset).flat();
}

test("cut at any byte, an open segment keeps its complete groups and nothing else", async () => {
  const { sealed, ends } = await sample();
  const last = ends.at(-1)!;
  for (let offset = 0; offset <= sealed.length; offset++) {
    const { texts, cutBytes, damagedBytes, root } = await recover({ [first]: sealed.subarray(0, offset) });
    expect(texts, `at ${offset}`).toEqual(completeBefore(ends, offset));
    const kept = offset === sealed.length ? offset : (ends.findLast((end) => end <= offset) ?? 0);
    expect({ cutBytes, damagedBytes }, `at ${offset}`).toEqual({ cutBytes: offset - kept, damagedBytes: 0 });
    expect(await fileNames(root)).toEqual(kept > 0 ? ["000000000001.seg"] : []);
    if (offset >= last) expect(await readFile(join(root, "web/c0/000000000001.seg"))).toEqual(sealed);
  }
});

test("planted defect: cutting at the last line instead of the last complete group is noticed", async () => {
  const { sealed, ends } = await sample();
  const wrong = [];
  for (let offset = 0; offset < sealed.length; offset++) {
    const lines = sealed
      .subarray(0, offset)
      .toString()
      .split(/(?<=\n)/)
      .filter((line) => line.endsWith("\n"));
    const naive = lines.length === 0 ? [] : parseRecords(lines.join(""), 1).map((record) => record.text);
    if (naive.length !== completeBefore(ends, offset).length) wrong.push(offset);
  }
  expect(wrong.length).toBeGreaterThan(100);
});

test("whatever a lost write left in the last group, the groups before it survive and it does not", async () => {
  const { open, ends } = await sample();
  const tail = ends.at(-2)!;
  const blocks = fc.array(
    fc.record({
      at: fc.nat(open.length - tail - 1),
      length: fc.integer({ min: 1, max: 80 }),
      fill: fc.nat(255),
    }),
    { minLength: 1, maxLength: 4 },
  );
  await fc.assert(
    fc.asyncProperty(blocks, fc.nat(40), async (blocks, extraZeros) => {
      const torn = Buffer.concat([open, Buffer.alloc(extraZeros)]);
      for (const { at, length, fill } of blocks)
        torn.fill(fill, tail + at, Math.min(open.length, tail + at + length));
      const intact = torn.subarray(0, open.length).equals(open);
      const { texts, cutBytes, damagedBytes } = await recover({ [first]: torn });
      expect(texts).toEqual((intact ? groups : groups.slice(0, -1)).flat());
      expect({ cutBytes, damagedBytes }).toEqual({
        cutBytes: torn.length - (intact ? open.length : tail),
        damagedBytes: 0,
      });
    }),
    { numRuns: 300 },
  );
});

test("damage before a complete group is set aside, not cut, and raises the alarm", async () => {
  const { open, ends } = await sample();
  const flips = fc.tuple(fc.nat(ends.at(-2)! - 1), fc.integer({ min: 1, max: 255 }));
  await fc.assert(
    fc.asyncProperty(flips, async ([at, mask]) => {
      const damaged = Buffer.from(open);
      damaged[at]! ^= mask;
      const { texts, cutBytes, damagedBytes, events, root } = await recover({ [first]: damaged });
      const kept = ends.findLast((end) => end <= at) ?? 0;
      expect(texts).toEqual(completeBefore(ends, at));
      expect({ cutBytes, damagedBytes }).toEqual({ cutBytes: 0, damagedBytes: open.length - kept });
      expect(events).toMatchObject([{ kind: "damaged", number: 1, code: "segment_corrupt" }]);
      const aside = (await fileNames(root)).find((name) => name.startsWith("000000000001.damaged-"))!;
      expect(await readFile(join(root, "web/c0", aside))).toEqual(damaged.subarray(kept));
    }),
    { numRuns: 200 },
  );
});

test("an empty open segment is deleted and its number used", async () => {
  const { root } = await recover({ [first]: new Uint8Array() });
  expect(await fileNames(root)).toEqual([]);
  const store = directoryStore(root, free);
  const writer = await store.openWriter("web", "c0");
  const { lines, lengths } = batch(["new"]);
  await writer.append(lines, lengths);
  await writer.close();
  expect((await readStream(store)).map(({ number, text }) => [number, text])).toEqual([[1, "new"]]);
});

test("open segments beside sealed ones of the same number keep their records under a new one", async () => {
  const { open, sealed } = await sample();
  const { texts, root } = await recover({
    [first]: open,
    "000000000001.seg": sealed,
    "000000000002.open": new Uint8Array(),
    "000000000003.open": open,
  });
  expect(await fileNames(root)).toEqual(["000000000001.seg", "000000000003.seg", "000000000004.seg"]);
  // The hole cannot come from a crash; readers wait at it rather than skip what may be restored.
  expect(texts).toEqual(groups.flat());
  expect(await readStream(directoryStore(root), "web", "c0", 2)).toHaveLength(2 * groups.flat().length);
});

test("segments deleted by hand raise the alarm; at the beginning, readers get past them", async () => {
  const { open, sealed } = await sample();
  const { texts, events, root } = await recover({ "000000000007.seg": sealed, "000000000008.open": open });
  expect(texts).toEqual([...groups, ...groups].flat());
  expect(events).toMatchObject([{ kind: "segments_missing", number: 1, code: "segment_missing" }]);
  expect(await fileNames(root)).toEqual(["000000000007.seg", "000000000008.seg", "removed"]);
  const again = await recover({ "000000000010.seg": sealed }, root);
  expect(again.events).toMatchObject([{ kind: "segments_missing", number: 9 }]);
  expect(again.texts).toEqual([...groups, ...groups].flat());
});

test("recovery that is repeated changes nothing", async () => {
  const { open, ends } = await sample();
  const once = await recover({ [first]: open.subarray(0, ends[2]! + 7) });
  const path = join(once.root, "web/c0/000000000001.seg");
  const content = await readFile(path);
  await rename(path, join(once.root, "web/c0", first)); // the rename was lost
  const twice = await recover({}, once.root);
  expect(twice.texts).toEqual(once.texts);
  expect(await readFile(path)).toEqual(content);
  expect(twice.cutBytes).toBe(0);
});

test("new records go to a new segment after what was recovered", async () => {
  const { open, ends } = await sample();
  const { root } = await recover({ [first]: open.subarray(0, ends[0]! + 3) });
  const store = directoryStore(root, free);
  expect((await readdir(join(root, "web/c0"))).filter((name) => name.startsWith("lock"))).toEqual([]);
  const writer = await store.openWriter("web", "c0");
  const { lines, lengths } = batch(["new"]);
  await writer.append(lines, lengths);
  await writer.close();
  expect((await allSealed(store)).map((ref) => ref.number)).toEqual([1, 2]);
  expect(await readTexts(store)).toEqual(["a1", "a2", "new"]);
});
