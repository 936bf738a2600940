import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { AuditAction } from "./audit-chain.ts";
import { AuditLog } from "./audit-log.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "weir-audit-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const done = (action: string, detail: AuditAction["detail"] = {}): AuditAction => ({
  actor: "ann",
  role: "analyst",
  action,
  target: null,
  detail,
});

async function filled(count: number, fileBytes = 1000): Promise<AuditLog> {
  const log = await AuditLog.open(directory, { fileBytes });
  for (let i = 1; i <= count; i++) await log.append(done(`a${i}`, { text: 'é\n\r\t"\u2028', n: i }));
  return log;
}

const files = (): string[] => readdirSync(directory).sort();
const lines = (): string[] =>
  files().flatMap((name) => readFileSync(join(directory, name), "utf8").split("\n").slice(0, -1));

test("entries follow each other, over files and restarts", async () => {
  await (await filled(10)).close();
  const log = await filled(10);
  expect(files().length).toBeGreaterThan(2);
  const entries = await log.list(0, 100);
  expect(entries.map(({ number }) => number)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  expect(entries.map(({ detail }) => detail["n"])).toEqual([...Array(20).keys()].map((i) => (i % 10) + 1));
  for (const [i, entry] of entries.entries()) if (i > 0) expect(entry.previous).toBe(entries[i - 1]!.hash);
  expect(await log.verify()).toEqual({
    ok: true,
    entries: 20,
    first: 1,
    last: 20,
    hash: entries.at(-1)!.hash,
    problem: null,
  });
  expect((await log.list(17, 2)).map(({ number }) => number)).toEqual([18, 19]);
  await log.close();
});

test("appends at once keep their order and share files", async () => {
  const log = await AuditLog.open(directory);
  const entries = await Promise.all(Array.from({ length: 500 }, (_, i) => log.append(done(`a${i}`))));
  expect(entries.map(({ number, action }) => `${number} ${action}`)).toEqual(
    entries.map((_, i) => `${i + 1} a${i}`),
  );
  expect((await log.verify()).entries).toBe(500);
  await log.close();
});

test("any change of any byte is found", async () => {
  await (await filled(12)).close();
  const whole = new Map(files().map((name) => [name, readFileSync(join(directory, name))]));
  const bytes = [...whole].flatMap(([name, { length }]) =>
    Array.from({ length }, (_, i) => [name, i] as const),
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...bytes), fc.integer({ min: 1, max: 255 }), async ([name, at], by) => {
      const changed = Buffer.from(whole.get(name)!);
      changed[at] = (changed[at]! + by) % 256;
      writeFileSync(join(directory, name), changed);
      const log = await AuditLog.open(directory);
      const { ok, last } = await log.verify();
      await log.close();
      writeFileSync(join(directory, name), whole.get(name)!);
      // What is behind the last LF was never acknowledged: there, and only there, fewer entries are no lie.
      const isLastLf = name === files().at(-1) && at === changed.length - 1;
      expect(ok).toBe(isLastLf);
      if (isLastLf) expect(last).toBe(11);
    }),
    { numRuns: 300 },
  );
});

test("an LF that became a CR is found", async () => {
  await (await filled(12)).close();
  for (const name of files()) {
    const whole = readFileSync(join(directory, name));
    for (let at = whole.indexOf(10); at >= 0; at = whole.indexOf(10, at + 1)) {
      // The last one: what is behind the LF before it was never acknowledged.
      if (name === files().at(-1) && at === whole.length - 1) continue;
      writeFileSync(join(directory, name), Buffer.from(whole).fill(13, at, at + 1));
      const log = await AuditLog.open(directory);
      expect((await log.verify()).ok, `${name} at ${at}`).toBe(false);
      await log.close();
    }
    writeFileSync(join(directory, name), whole);
  }
});

describe("what was done to a log", () => {
  test.each([
    ["an entry taken out", (all: string[]) => all.toSpliced(4, 1), /entry at number 5 has number 6/],
    [
      "two entries exchanged",
      (all: string[]) => [...all.slice(0, 3), all[4]!, all[3]!, ...all.slice(5)],
      /number 4 has number 5/,
    ],
    ["an entry put in twice", (all: string[]) => all.toSpliced(4, 0, all[4]!), /number 6 has number 5/],
    ["the first entries taken out", (all: string[]) => all.slice(2), /number 1 has number 3/],
    [
      "an entry made anew, with a hash of its own",
      (all: string[]) => {
        const { hash: _, ...entry } = {
          ...(JSON.parse(all[4]!) as Record<string, unknown>),
          actor: "bob",
        } as Record<string, unknown>;
        return all.toSpliced(4, 1, JSON.stringify({ ...entry, hash: "0".repeat(64) }));
      },
      /number 5 was changed/,
    ],
  ])("%s", async (_, change, problem) => {
    await (await filled(8, 1e6)).close();
    writeFileSync(join(directory, files()[0]!), `${change(lines()).join("\n")}\n`);
    const log = await AuditLog.open(directory);
    const verdict = await log.verify();
    expect(verdict.ok).toBe(false);
    expect(verdict.problem).toMatch(problem);
    await log.close();
  });

  test("the end cut off while it is open", async () => {
    const log = await filled(8, 1e6);
    truncateSync(join(directory, files()[0]!), lines().slice(0, 6).join("\n").length + 1);
    expect((await log.verify()).ok).toBe(false);
    await log.close();
  });

  test("a file in the middle gone", async () => {
    const log = await filled(20);
    rmSync(join(directory, files()[1]!));
    const { ok, problem } = await log.verify();
    expect({ ok, problem }).toEqual({ ok: false, problem: expect.stringMatching(/are missing/) as string });
    await log.close();
  });
});

test("a torn end is cut off; what was acknowledged stays and the chain goes on", async () => {
  await (await filled(3, 1e6)).close();
  const text = readFileSync(join(directory, files()[0]!));
  for (let keep = 0; keep < 40; keep++) {
    writeFileSync(
      join(directory, files()[0]!),
      Buffer.concat([text, Buffer.from('{"number":4,"at":"2026-11-21T10:00:00Z","a').subarray(0, keep)]),
    );
    const log = await AuditLog.open(directory, { fileBytes: 1e6 });
    await log.append(done("later"));
    expect(await log.verify()).toMatchObject({ ok: true, entries: 4, last: 4 });
    await log.close();
  }
});

test("a file without an entry, from a crash while it was begun, is begun again", async () => {
  await (await filled(9)).close();
  const next = String(10).padStart(12, "0");
  for (const rest of ["", '{"number":10,']) {
    writeFileSync(join(directory, `${next}.jsonl`), rest);
    const log = await AuditLog.open(directory, { fileBytes: 1000 });
    expect(await log.verify()).toMatchObject({ ok: true, last: 9 });
    await log.close();
  }
});

test("a damaged end takes nothing more, and says so; the rest can be read", async () => {
  await (await filled(3, 1e6)).close();
  appendFileSync(join(directory, files()[0]!), "not an entry\n");
  const log = await AuditLog.open(directory);
  await expect(log.append(done("a"))).rejects.toMatchObject({ code: "audit_broken" });
  expect(await log.verify()).toMatchObject({
    ok: false,
    entries: 3,
    problem: "the entry at number 4 is no entry",
  });
  await log.close();
});

test("a log that cannot be written refuses, and goes on once it can", async () => {
  const log = await filled(3, 1);
  rmSync(directory, { recursive: true });
  await expect(log.append(done("a"))).rejects.toMatchObject({ code: "audit_unwritable" });
  await log.close();
  directory = mkdtempSync(join(tmpdir(), "weir-audit-"));
});

test("files go when their time is over, never the last; the rest still follows", async () => {
  await (await filled(20)).close();
  const old = files().slice(0, 3);
  for (const name of old) utimesSync(join(directory, name), new Date(0), new Date(0));
  const log = await AuditLog.open(directory, { fileBytes: 1, keepMs: 1000 });
  expect(await log.append(done("a"))).toMatchObject({ action: "a", number: 22 });
  const left = Number(files()[0]!.slice(0, 12));
  expect(left).toBeGreaterThan(Number(old.at(-1)!.slice(0, 12)));
  expect(await log.verify()).toMatchObject({ ok: true, first: left, last: 22 });
  expect(await log.list(20, 1)).toMatchObject([{ action: "audit.remove", detail: { through: left - 1 } }]);
  rmSync(join(directory, files()[0]!));
  expect(await log.verify()).toMatchObject({
    ok: false,
    problem: expect.stringContaining(`entries ${left} to`),
  });
  await log.close();
});

test("a first file that is gone, and was not removed because of its age, is missed", async () => {
  const log = await filled(10);
  const second = Number(files()[1]!.slice(0, 12));
  rmSync(join(directory, files()[0]!));
  expect(await log.verify()).toMatchObject({
    ok: false,
    problem: `entries 1 to ${second - 1} are missing, and no entry says that they were removed because of their age`,
  });
  await log.close();
});

test("a long text is cut, and says how long it was", async () => {
  const log = await AuditLog.open(directory);
  const { detail } = await log.append(done("query", { sql: "x".repeat(100_000) }));
  expect(detail["sql"]).toBe(`${"x".repeat(4000)}... (100000 characters)`);
  await log.close();
  const again = await AuditLog.open(directory);
  expect(await again.verify()).toMatchObject({ ok: true, entries: 1 });
  await again.close();
});
