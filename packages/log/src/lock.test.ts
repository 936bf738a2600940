import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, readdir, readlink, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { directoryStore } from "./directory.ts";
import { batch, codeOf, readTexts, until } from "./records.fixture.ts";
import type { LogEvent, SegmentWriter } from "./store.ts";
import type { ChildTask } from "./writer.child.ts";
import { temporaryDirectory } from "./temporary-directory.fixture.ts";

const free = { minFreeBytes: 0 };
const isLinux = process.platform === "linux";

function append(writer: SegmentWriter, ...texts: string[]): Promise<void> {
  const { lines, lengths } = batch(texts);
  return writer.append(lines, lengths);
}

/** Another process that writes to web/c0, from when this resolves until it is killed. */
async function otherProcess(root: string) {
  const task: ChildTask = { root, run: "other", record: join(root, "record"), appends: 1_000_000 };
  const script = fileURLToPath(new URL("writer.child.ts", import.meta.url));
  const child = spawn(
    process.execPath,
    ["--import", import.meta.resolve("tsx"), script, JSON.stringify(task)],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  onTestFinished(() => void child.kill("SIGKILL"));
  await once(child.stdout, "data");
  child.stdout.resume();
  return { pid: child.pid!, child, exited: once(child, "exit") };
}

async function locks(root: string): Promise<string[]> {
  return (await readdir(join(root, "web/c0"))).filter((name) => name.startsWith("lock-"));
}

test("two processes on one writer name: the second is told who has it, and gets it when the first is dead", async () => {
  const root = temporaryDirectory();
  const { pid, child, exited } = await otherProcess(root);
  const events: LogEvent[] = [];
  const store = directoryStore(root, { ...free, onEvent: (event) => events.push(event) });
  await expect(store.openWriter("web", "c0")).rejects.toMatchObject({
    code: "log_writer_locked",
    message: expect.stringContaining(String(pid)),
    where: join(root, "web/c0"),
  });
  child.kill("SIGSTOP"); // alive, if not kicking
  expect(await codeOf(store.openWriter("web", "c0"))).toBe("log_writer_locked");
  expect(await locks(root)).toHaveLength(1);
  await (await store.openWriter("web", "c1")).close(); // another name is free
  child.kill("SIGKILL");
  await exited;
  const writer = await store.openWriter("web", "c0");
  expect(events[0]).toMatchObject({ kind: "lock_taken_over", message: expect.stringContaining(String(pid)) });
  await append(writer, "mine");
  await writer.close();
  expect((await readTexts(store)).at(-1)).toBe("mine");
  expect(await locks(root)).toEqual([]);
});

test("of many who open one writer at once, at most one has it at any time, and in the end one gets it", async () => {
  const store = directoryStore(temporaryDirectory(), free);
  let held = 0;
  let opened = 0;
  const contend = async () => {
    for (;;) {
      try {
        const writer = await store.openWriter("web", "c0");
        held += 1;
        opened += 1;
        expect(held).toBe(1);
        await append(writer, `${opened}`);
        held -= 1;
        await writer.close();
        return;
      } catch (error) {
        expect(error).toMatchObject({ code: "log_writer_locked" });
      }
    }
  };
  await Promise.all(Array.from({ length: 6 }, contend));
  expect(await readTexts(store)).toEqual(["1", "2", "3", "4", "5", "6"]);
});

/** The lock of a process that never gave it free. */
async function leaveLock(root: string, name: string): Promise<string> {
  const directory = join(root, "web/c0");
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, name), "");
  return join(directory, name);
}

const bootId = () => readFile("/proc/sys/kernel/random/boot_id", "latin1").then((id) => id.slice(0, 8));
const pidNamespace = () => readlink("/proc/self/ns/pid").then((link) => /\d+/.exec(link)![0]);

test.skipIf(!isLinux)(
  "a lock whose pid now belongs to another process, or from before a reboot, is taken over",
  async () => {
    for (const boot of [await bootId(), "00000000"]) {
      const root = temporaryDirectory();
      await leaveLock(root, `lock-${process.pid}-1-${await pidNamespace()}-${boot}-0123abcd`);
      const writer = await directoryStore(root, free).openWriter("web", "c0");
      expect(await locks(root)).toHaveLength(1);
      await writer.close();
    }
  },
);

test.skipIf(!isLinux)(
  "a lock from another container counts while it is touched, and is taken over when its lease ends",
  async () => {
    const root = temporaryDirectory();
    const path = await leaveLock(root, `lock-1-1-1-${await bootId()}-0123abcd`);
    const store = directoryStore(root, free, { leaseMs: 400 });
    const heartbeat = setInterval(() => void utimes(path, new Date(), new Date()), 10);
    try {
      expect(await codeOf(store.openWriter("web", "c0"))).toBe("log_writer_locked");
    } finally {
      clearInterval(heartbeat);
    }
    const writer = await store.openWriter("web", "c0");
    await writer.close();
  },
);

test("an owner whose lock is removed stops before another one's records could be harmed", async () => {
  const root = temporaryDirectory();
  const store = directoryStore(root, { ...free, sealAfterMs: 60_000 });
  const first = await store.openWriter("web", "c0");
  await append(first, "first");
  const [lock] = await locks(root);
  await rm(join(root, "web/c0", lock!)); // planted defect: a lock that does not hold
  const second = await store.openWriter("web", "c0");
  const refused = append(first, "refused");
  expect(await codeOf(refused)).toBe("log_unwritable");
  await append(second, "second");
  expect(await codeOf(first.close())).toBe("log_unwritable");
  await second.close();
  expect(await readTexts(store)).toEqual(["first", "second"]);
});

test("an owner notices by itself that its lock was removed", async () => {
  const root = temporaryDirectory();
  const store = directoryStore(root, free, { leaseMs: 8 });
  const writer = await store.openWriter("web", "c0");
  const [lock] = await locks(root);
  await rm(join(root, "web/c0", lock!));
  await until(() =>
    append(writer, "x").then(
      () => false,
      () => true,
    ),
  );
  expect(await codeOf(append(writer, "x"))).toBe("log_unwritable");
});
