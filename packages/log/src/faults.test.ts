/** Failures of the file system: refused, nothing acknowledged lost, and over when the cause is. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { directoryStore } from "./directory.ts";
import type { FileSystem } from "./file-system.ts";
import { realFileSystem } from "./file-system.ts";
import { allSealed, batch, codeOf, fileNames, readStream, readTexts, until } from "./records.fixture.ts";
import type { LogEvent, SegmentWriter } from "./store.ts";
import { temporaryDirectory } from "./temporary-directory.fixture.ts";

const free = { minFreeBytes: 0 };
const isRoot = process.getuid?.() === 0;

function append(writer: SegmentWriter, ...texts: string[]): Promise<void> {
  const { lines, lengths } = batch(texts);
  return writer.append(lines, lengths);
}

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: planted`), { code });
}

type Call = keyof FileSystem;

/**
 * The real file system, of which the next calls can be told to fail. A write that fails has written half. A file sync that
 * fails has lost what was not synced before, as Linux does: the pages are dropped and a second fsync says nothing.
 */
class FaultyFileSystem implements FileSystem {
  /** For each call: the error of the next ones, in order; "" for one that succeeds. */
  readonly plan: Partial<Record<Call, string[]>> = {};
  /** Planted defect: syncs that fail say that they did not. */
  swallowSyncErrors = false;
  /** By inode. */
  #syncedBytes = new Map<number, number>();

  #planned(call: Call): string {
    return this.plan[call]?.shift() ?? "";
  }

  async create(path: string): ReturnType<FileSystem["create"]> {
    const error = this.#planned("create");
    if (error !== "") throw systemError(error);
    const file = await realFileSystem.create(path);
    this.#syncedBytes.delete((await file.stat()).ino);
    return file;
  }

  async write(...[file, bytes, position]: Parameters<FileSystem["write"]>): Promise<number> {
    const error = this.#planned("write");
    if (error === "") return await realFileSystem.write(file, bytes, position);
    await realFileSystem.write(file, bytes.subarray(0, bytes.length >> 1), position);
    throw systemError(error);
  }

  async sync(...[file]: Parameters<FileSystem["sync"]>): Promise<void> {
    const error = this.#planned("sync");
    const { size, ino } = await file.stat();
    if (error === "") {
      await realFileSystem.sync(file);
      this.#syncedBytes.set(ino, size);
      return;
    }
    const kept = this.#syncedBytes.get(ino) ?? 0;
    if (size > kept) await file.write(Buffer.alloc(size - kept), 0, size - kept, kept);
    if (!this.swallowSyncErrors) throw systemError(error);
  }

  async syncDirectory(path: string): Promise<void> {
    const error = this.#planned("syncDirectory");
    if (error !== "") throw systemError(error);
    await realFileSystem.syncDirectory(path);
  }
}

const fault = fc.constantFrom("", "", "", "", "EIO", "ENOSPC", "EROFS", "EDQUOT");
const faults = fc.record({
  create: fc.array(fault, { maxLength: 10 }),
  write: fc.array(fault, { maxLength: 30 }),
  sync: fc.array(fault, { maxLength: 30 }),
  syncDirectory: fc.array(fault, { maxLength: 20 }),
});

/** Appends under faults, then without; returns what was acknowledged and what can be read. */
async function runUnderFaults(
  plan: Record<Call, string[]>,
  segmentBytes: number,
  swallowSyncErrors: boolean,
) {
  const files = new FaultyFileSystem();
  const options = { ...free, segmentBytes, sealAfterMs: 60_000 };
  const store = directoryStore(temporaryDirectory(), options, { files, retryMs: 1 });
  const writer = await store.openWriter("web", "c0");
  files.swallowSyncErrors = swallowSyncErrors;
  Object.assign(files.plan, structuredClone(plan));
  const acknowledged: string[] = [];
  const refused = new Map<string, unknown>();
  const send = async (text: string) => {
    try {
      await append(writer, text);
      acknowledged.push(text);
    } catch (error) {
      refused.set(text, error);
    }
  };
  for (let i = 0; i < 25; i++) await Promise.all([send(`${i}a`), send(`${i}b`)]);
  for (const call of Object.keys(files.plan)) files.plan[call as Call] = [];
  await send("after the faults");
  await writer.close();
  return { acknowledged, refused, texts: await readTexts(store), stats: writer.stats() };
}

test("under any faults acknowledged records survive, in order, and refused ones are refused with a reason", async () => {
  let refusals = 0;
  await fc.assert(
    fc.asyncProperty(faults, fc.constantFrom(1, 300, 1 << 20), async (plan, segmentBytes) => {
      const { acknowledged, refused, texts, stats } = await runUnderFaults(plan, segmentBytes, false);
      expect(texts.filter((text) => !refused.has(text))).toEqual(acknowledged);
      expect(new Set(texts).size).toBe(texts.length);
      expect(acknowledged.at(-1)).toBe("after the faults");
      expect(stats).toMatchObject({ damagedBytes: 0, rejected: refused.size });
      for (const error of refused.values()) {
        expect(["log_io_error", "log_disk_full", "log_unwritable"]).toContain(
          (error as { code: string }).code,
        );
      }
      refusals += refused.size;
    }),
    { numRuns: 60 },
  );
  expect(refusals).toBeGreaterThan(200);
});

test("planted defect: a writer that takes a failed sync for a success loses acknowledged records", async () => {
  const plan = { create: [], write: [], sync: ["", "", "EIO"], syncDirectory: [] };
  await expect(runUnderFaults(plan, 1, true)).rejects.toMatchObject({ code: "segment_corrupt" });
  const { acknowledged, texts } = await runUnderFaults(plan, 1, false);
  expect(texts).toEqual(acknowledged);
});

test("after a failed sync the durable records are sealed by themselves, and appending goes on in a new segment", async () => {
  const files = new FaultyFileSystem();
  const root = temporaryDirectory();
  const events: LogEvent[] = [];
  const options = { ...free, sealAfterMs: 60_000, onEvent: (event: LogEvent) => events.push(event) };
  const store = directoryStore(root, options, { files, retryMs: 1 });
  const writer = await store.openWriter("web", "c0");
  await append(writer, "durable");
  files.plan.sync = ["EIO"];
  await expect(append(writer, "failed")).rejects.toMatchObject({
    code: "log_io_error",
    where: join(root, "web/c0/000000000001.open"),
  });
  await until(async () => (await allSealed(store)).length === 1);
  expect(await readTexts(store)).toEqual(["durable"]);
  await append(writer, "after");
  await writer.close();
  expect(await readTexts(store)).toEqual(["durable", "after"]);
  expect(events).toMatchObject([
    { kind: "segment_abandoned", number: 1, code: "log_io_error" },
    { kind: "tail_cut", number: 1 },
  ]);
});

test("while an abandoned segment cannot be recovered, every append is refused and nothing is lost", async () => {
  const files = new FaultyFileSystem();
  const store = directoryStore(
    temporaryDirectory(),
    { ...free, sealAfterMs: 60_000 },
    { files, retryMs: 60_000 },
  );
  const writer = await store.openWriter("web", "c0");
  await append(writer, "durable");
  files.plan.write = Array.from({ length: 4 }, () => "ENOSPC");
  for (let i = 0; i < 4; i++) expect(await codeOf(append(writer, "refused"))).toBe("log_disk_full");
  await append(writer, "after");
  await writer.close();
  expect(await readTexts(store)).toEqual(["durable", "after"]);
});

test("if acknowledged records cannot be read back after a failure, they are set aside and the alarm is raised", async () => {
  const files = new FaultyFileSystem();
  const root = temporaryDirectory();
  const store = directoryStore(root, { ...free, sealAfterMs: 60_000 }, { files, retryMs: 1 });
  const writer = await store.openWriter("web", "c0");
  await append(writer, "kept");
  await append(writer, "damaged");
  const path = join(root, "web/c0/000000000001.open");
  const content = readFileSync(path, "latin1");
  writeFileSync(path, content.replace("damaged", "daMaged"), "latin1");
  files.plan.sync = ["EIO"];
  expect(await codeOf(append(writer, "failed"))).toBe("log_io_error");
  await until(() => writer.stats().damagedBytes > 0);
  await append(writer, "after");
  await writer.close();
  expect(await readTexts(store)).toEqual(["kept", "after"]);
  expect((await fileNames(root)).filter((name) => name.includes("damaged"))).toHaveLength(1);
});

test("short writes are continued", async () => {
  const files: FileSystem = {
    ...realFileSystem,
    write: (file, bytes, position) => realFileSystem.write(file, bytes.subarray(0, 7), position),
  };
  const store = directoryStore(temporaryDirectory(), free, { files });
  const writer = await store.openWriter("web", "c0");
  await append(writer, "one", "two");
  await writer.close();
  expect(await readTexts(store)).toEqual(["one", "two"]);
});

test("a stream whose directory is removed refuses rather than acknowledge into a deleted file", async () => {
  const root = temporaryDirectory();
  const store = directoryStore(root, { ...free, sealAfterMs: 60_000 });
  const writer = await store.openWriter("web", "c0");
  await append(writer, "one");
  rmSync(join(root, "web"), { recursive: true });
  expect(await codeOf(append(writer, "two"))).toBe("log_unwritable");
  expect(await codeOf(append(writer, "three"))).toBe("log_unwritable");
  expect(await codeOf(writer.close())).toBe("log_unwritable");
});

test("a writer whose open segment was moved away refuses, and what it had written is not lost", async () => {
  const root = temporaryDirectory();
  const store = directoryStore(root, { ...free, sealAfterMs: 60_000 });
  const writer = await store.openWriter("web", "c0");
  await append(writer, "one");
  const path = join(root, "web/c0/000000000001.open");
  await rename(path, `${path}.away`);
  expect(await codeOf(append(writer, "two"))).toBe("log_unwritable");
  await rename(`${path}.away`, path);
  expect(await codeOf(writer.close())).toBe("log_unwritable");
  await (await store.openWriter("web", "c0")).close();
  expect((await readTexts(store))[0]).toBe("one");
});

test("a file in place of a directory", async () => {
  const root = temporaryDirectory();
  writeFileSync(join(root, "log"), "");
  mkdirSync(join(root, "other"));
  writeFileSync(join(root, "other/web"), "");
  for (const place of [join(root, "log"), join(root, "other")]) {
    const store = directoryStore(place, free);
    await expect(store.openWriter("web", "c0")).rejects.toMatchObject({
      name: "WeirError",
      code: "log_unwritable",
      where: join(place, "web/c0"),
    });
  }
});

describe.skipIf(!isRoot)(`on a file system of its own${isRoot ? "" : " (skipped: needs root)"}`, () => {
  function mountTiny(size: string): string {
    const path = temporaryDirectory();
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", path]);
    onTestFinished(() => void execFileSync("umount", ["-l", path]));
    return path;
  }

  test("a full disk refuses, keeps what was acknowledged, and goes on once there is space", async () => {
    const root = mountTiny("512k");
    const store = directoryStore(
      root,
      { ...free, segmentBytes: 40_000, sealAfterMs: 60_000 },
      { retryMs: 1 },
    );
    const writer = await store.openWriter("web", "c0");
    const acknowledged: string[] = [];
    let code = "";
    for (let i = 0; code === ""; i++) {
      const texts = Array.from({ length: 10 }, (_, j) => `${i}.${j} ${"x".repeat(700)}`);
      try {
        await append(writer, ...texts);
        acknowledged.push(...texts);
      } catch (error) {
        code = (error as { code: string }).code;
      }
    }
    // Whether the log's own bound or the disk says so first depends on how much room a file's last page has.
    expect(["log_disk_full", "log_full"]).toContain(code);
    expect(acknowledged.length).toBeGreaterThan(400);
    const [oldest] = await allSealed(store);
    const removed = (await readStream(store)).filter((record) => record.number === oldest!.number);
    await store.remove(oldest!);
    await until(async () =>
      append(writer, "after").then(
        () => true,
        () => false,
      ),
    );
    await writer.close();
    expect(await readTexts(store)).toEqual([...acknowledged.slice(removed.length), "after"]);
  });

  test("a disk that others fill refuses with log_disk_full, and goes on once they make space", async () => {
    const root = mountTiny("512k");
    const store = directoryStore(root, { ...free, sealAfterMs: 60_000 }, { retryMs: 60_000 });
    const writer = await store.openWriter("web", "c0");
    await append(writer, "before");
    const filler = join(root, "filler");
    expect(() => writeFileSync(filler, Buffer.alloc(600 << 10))).toThrow("ENOSPC");
    expect(await codeOf(append(writer, "x".repeat(20_000)))).toBe("log_disk_full");
    rmSync(filler);
    await append(writer, "after");
    await writer.close();
    expect(await readTexts(store)).toEqual(["before", "after"]);
  });

  test("a disk that becomes read-only refuses with log_unwritable, and goes on once it is not", async () => {
    const root = mountTiny("512k");
    const store = directoryStore(root, free);
    const writer = await store.openWriter("web", "c0");
    await append(writer, "before");
    await writer.seal();
    execFileSync("mount", ["-o", "remount,ro", root]);
    expect(await codeOf(append(writer, "refused"))).toBe("log_unwritable");
    expect(await codeOf(store.openWriter("web", "c1"))).toBe("log_unwritable");
    execFileSync("mount", ["-o", "remount,rw", root]);
    await append(writer, "after");
    await writer.close();
    expect(await readTexts(store)).toEqual(["before", "after"]);
    expect(await fileNames(root)).toEqual(["000000000001.seg", "000000000002.seg"]);
  });
});
