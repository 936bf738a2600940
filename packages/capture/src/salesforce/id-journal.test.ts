import { appendFileSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { IdJournal } from "./id-journal.ts";

const idOf = (n: number): string => `003${String(n).padStart(12, "0")}AAA`;

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), "weir-ids-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function* batches(ids: readonly string[]): AsyncGenerator<readonly string[]> {
  for (let i = 0; i < ids.length; i += 7) yield await Promise.resolve(ids.slice(i, i + 7));
}

test("the last word on an id counts, whatever was written in which order and however often it was compacted", async () => {
  const step = fc.record({
    sign: fc.constantFrom("+" as const, "-" as const),
    ids: fc.array(fc.nat(60), { maxLength: 20 }),
    compact: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.uniqueArray(fc.nat(60)), async (steps, listed) => {
      const path = mkdtempSync(join(tmpdir(), "weir-ids-"));
      try {
        const journal = new IdJournal(path, "Contact");
        const alive = new Set<string>();
        journal.add([], "+");
        for (const { sign, ids, compact } of steps) {
          journal.add(ids.map(idOf), sign);
          for (const id of ids.map(idOf)) {
            if (sign === "+") alive.add(id);
            else alive.delete(id);
          }
          if (compact) await journal.compact();
        }
        const there = new Set(listed.map(idOf));
        const { missing, unknown, known } = await journal.compare(batches([...there]));
        expect(known).toBe(alive.size);
        expect(new Set(missing)).toEqual(new Set([...alive].filter((id) => !there.has(id))));
        expect(new Set(unknown)).toEqual(new Set([...there].filter((id) => !alive.has(id))));
        expect(await journal.known([...there])).toEqual(new Set([...there].filter((id) => alive.has(id))));
        expect(readdirSync(path)).toEqual(["Contact.ids"]);
      } finally {
        rmSync(path, { recursive: true });
      }
    }),
    { numRuns: 10 },
  );
});

test("compacted, it holds each living id once", async () => {
  const path = directory();
  const journal = new IdJournal(path, "Contact");
  for (let i = 0; i < 5; i++) journal.add([1, 2, 3].map(idOf), "+");
  journal.add([idOf(2)], "-");
  await journal.compact();
  const lines = readFileSync(join(path, "Contact.ids"), "utf8").split("\n").filter(Boolean);
  expect(lines.toSorted()).toEqual([`+${idOf(1)}`, `+${idOf(3)}`]);
});

test("a line that a crash cut short is passed over, and what an interrupted comparison left is removed", async () => {
  const path = directory();
  const journal = new IdJournal(path, "Contact");
  journal.add([idOf(1)], "+");
  appendFileSync(join(path, "Contact.ids"), "+0030000");
  journal.add([2, 3].map(idOf), "+");
  // The line that the cut one ran into is lost with it; its row comes again, as the cursor did not pass it.
  expect(await journal.known([1, 2, 3].map(idOf))).toEqual(new Set([idOf(1), idOf(3)]));
  const { known } = await journal.compare(batches([]));
  expect(known).toBe(2);
});

test("without a file everything may be known", async () => {
  const journal = new IdJournal(directory(), "Contact");
  expect(journal.exists()).toBe(false);
  expect(await journal.known([idOf(1)])).toEqual(new Set([idOf(1)]));
  await journal.compact();
  expect(existsSync(join(directory(), "Contact.ids"))).toBe(false);
});

test("a hundred thousand ids", async () => {
  const journal = new IdJournal(directory(), "Contact");
  const ids = Array.from({ length: 100_000 }, (_, i) => idOf(i));
  journal.add(ids, "+");
  const { missing, unknown } = await journal.compare(batches([...ids.slice(10), idOf(500_000)]));
  expect(missing).toHaveLength(10);
  expect(unknown).toEqual([idOf(500_000)]);
});
