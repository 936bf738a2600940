import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { cipherWords } from "./vault-index.ts";
import { VaultHarness } from "./vault.fixture.ts";

let harness: VaultHarness;
beforeEach(() => {
  harness = new VaultHarness();
});
afterEach(() => harness.end());

/** Few enough for a run a batch. */
const few = 20;
const people = 60;
const directory = (): string => join(harness.dataDir, "vault", "index");
const files = (): string[] => readdirSync(directory()).sort();
const user = (n: number): string => `user ${n}`;
const mail = (n: number): string => `p${n}@example.com`;
const batchOf = (numbers: readonly number[]): { kind: string; value: string; subject: string }[] =>
  numbers.map((n) => ({ kind: "email", value: mail(n), subject: user(n) }));

/** Makes a bit of a file another one. */
function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 4;
  writeFileSync(path, bytes);
}

/** What a step does to the runs on disk while nobody has the vault. */
const harms = {
  none: () => undefined,
  remove: (path: string) => rmSync(path),
  cut: (path: string) => writeFileSync(path, readFileSync(path).subarray(0, 70)),
  flip: (path: string) => flip(path, 64 + 21),
  add: () => writeFileSync(join(directory(), "0000099999.run"), "left over"),
};
type Step =
  | { readonly kind: "batch"; readonly numbers: readonly number[] }
  | { readonly kind: "open"; readonly harm: keyof typeof harms }
  | { readonly kind: "destroy"; readonly n: number };
const person = fc.integer({ min: 0, max: people - 1 });
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant("batch" as const),
        numbers: fc.uniqueArray(person, { minLength: 1, maxLength: 25 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("open" as const),
        harm: fc.constantFrom(...(Object.keys(harms) as (keyof typeof harms)[])),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("destroy" as const), n: person }) },
  ),
  { minLength: 12, maxLength: 24 },
);

test("whatever comes, a value keeps its token until its subject is destroyed, and gets another one then", async () => {
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(steps, async (sequence) => {
      await harness.end();
      harness = new VaultHarness();
      await harness.open(undefined, few);
      const tokens = new Map<number, string>();
      const gone = new Set<string>();
      for (const step of sequence) {
        if (step.kind === "batch") {
          const given = await harness.assign(batchOf(step.numbers));
          for (const [i, n] of step.numbers.entries()) {
            expect(gone).not.toContain(given[i]);
            expect(given[i]).toBe(tokens.get(n) ?? given[i]);
            tokens.set(n, given[i] ?? "");
          }
        } else if (step.kind === "open") {
          await harness.close();
          const [path] = files();
          if (path !== undefined) harms[step.harm](join(directory(), path));
          await harness.open(undefined, few);
        } else if (tokens.has(step.n)) {
          const [subject] = await harness.vault.findTokens(user(step.n), "subject");
          await harness.vault.destroySubjects([subject?.token ?? ""]);
          gone.add(tokens.get(step.n) ?? "");
          tokens.delete(step.n);
        }
        runs += harness.vault.index.runs;
      }
      const values = await harness.vault.reveal([...tokens.values(), ...gone]);
      expect(values).toEqual(new Map([...tokens].map(([n, token]) => [token, mail(n)])));
      expect(new Set(tokens.values()).size).toBe(tokens.size);
    }),
    { numRuns: 6 },
  );
  expect(runs).toBeGreaterThan(0);
});

test("runs are merged when there are many, and a restart reads them", async () => {
  await harness.open(undefined, few);
  const all = Array.from({ length: 400 }, (_, n) => n);
  const tokens: string[] = [];
  for (let at = 0; at < all.length; at += 20)
    tokens.push(...(await harness.assign(batchOf(all.slice(at, at + 20)))));
  await harness.close();
  // Twenty batches made one each.
  expect(files().length).toBeLessThan(15);
  await harness.open(undefined, few);
  expect(await harness.assign(batchOf(all))).toEqual(tokens);
});

test("a run that cannot be written is an error, and values keep their tokens", async () => {
  await harness.open(undefined, few);
  const first = await harness.assign(batchOf([1, 2, 3]));
  rmSync(directory(), { recursive: true });
  const many = Array.from({ length: 30 }, (_, n) => n);
  await expect(harness.assign(batchOf(many))).rejects.toThrow("ENOENT");
  mkdirSync(directory());
  const tokens = await harness.assign(batchOf(many));
  expect(tokens.slice(1, 4)).toEqual(first);
  await harness.open(undefined, few);
  expect(await harness.assign(batchOf(many))).toEqual(tokens);
  const sql = await harness.connect();
  expect(
    await sql.rows("SELECT h0::VARCHAR FROM weir_vault.main.tokens GROUP BY h0, h1 HAVING count(*) > 1"),
  ).toEqual([]);
  sql.close();
});

test("a vault that was restored from a copy gives no token again that was given since", async () => {
  await harness.open();
  await harness.assign(batchOf([1]));
  await harness.close();
  const path = join(harness.dataDir, "vault", "vault.duckdb");
  const copy = readFileSync(path);
  await harness.open();
  const [since = ""] = await harness.assign(batchOf([2]));
  await harness.close();
  for (const file of [`${path}.wal`, directory()]) rmSync(file, { recursive: true, force: true });
  writeFileSync(path, copy);
  await harness.open();
  const [other = ""] = await harness.assign(batchOf([3]));
  expect(other).not.toBe(since);
  expect(await harness.vault.reveal([since, other])).toEqual(new Map([[other, mail(3)]]));
});

test("an index that is gone is made anew, once", async () => {
  await harness.open(undefined, few);
  const tokens = await harness.assign(batchOf(Array.from({ length: 200 }, (_, n) => n)));
  await harness.close();
  rmSync(directory(), { recursive: true });
  await harness.open(undefined, few);
  expect(harness.remade).toEqual([expect.stringMatching(/cannot be opened.*ENOENT.*\.run\)$/)]);
  await harness.close();
  const made = files();
  expect(made.length).toBeGreaterThan(0);
  await harness.open(undefined, few);
  expect(files()).toEqual(made);
  expect(harness.remade).toHaveLength(1);
  expect(await harness.assign(batchOf(Array.from({ length: 200 }, (_, n) => n)))).toEqual(tokens);
});

test("an index with a wrong bit in any entry is made anew, and says so", async () => {
  const batch = batchOf(Array.from({ length: 200 }, (_, n) => n));
  await harness.open(undefined, few);
  const tokens = await harness.assign(batch);
  for (const at of [64, 64 + 32 * 3 + 17]) {
    await harness.close();
    flip(join(directory(), files()[0] ?? ""), at);
    await harness.open(undefined, few);
    expect(harness.remade.splice(0)).toEqual([
      expect.stringMatching(/^The id run is damaged: its entries fail the checksum\. \(\d+\.run\)$/),
    ]);
    expect(await harness.assign(batch)).toEqual(tokens);
  }
});

test("no run has an entry of who was destroyed", async () => {
  await harness.open(undefined, few);
  await harness.assign(batchOf(Array.from({ length: 50 }, (_, n) => n)));
  const [subject] = await harness.vault.findTokens(user(7), "subject");
  const sql = await harness.connect();
  const [hashes] = await sql.rows<{ mail: string; user: string }>(
    `SELECT max(h0) FILTER (WHERE kind = 'email')::VARCHAR AS mail, max(h0) FILTER (WHERE kind = 'subject')::VARCHAR AS "user"
     FROM weir_vault.main.tokens t WHERE id IN
       (SELECT token FROM weir_vault.main.ciphers WHERE subject = (SELECT id FROM weir_vault.main.tokens WHERE token = '${subject?.token}'))`,
  );
  sql.close();
  const needles = Object.values(hashes ?? {}).map((hash) => {
    const needle = Buffer.alloc(8);
    needle.writeUInt32LE(Number(BigInt(hash) >> 32n), 0);
    needle.writeUInt32LE(Number(BigInt(hash) & 0xffffffffn), 4);
    return needle;
  });
  const found = (): number =>
    files()
      .map((file) => readFileSync(join(directory(), file)))
      .reduce((sum, bytes) => sum + needles.filter((needle) => bytes.includes(needle)).length, 0);
  expect(found()).toBe(2);
  await harness.vault.destroySubjects([subject?.token ?? ""]);
  expect(files().length).toBeGreaterThan(0);
  expect(found()).toBe(0);
});

test("a vault from before there was an index keeps its tokens, and gives new ones", async () => {
  await harness.open();
  const before = await harness.assign(batchOf([1, 2, 3]));
  const sql = await harness.connect();
  const random = "substr(translate(to_base64(unhex(md5(id::VARCHAR))), '+/', '-_'), 1, 22)";
  await sql.run(`UPDATE weir_vault.main.tokens SET token = concat('tok_email_', ${random}) WHERE kind = 'email';
    ALTER TABLE weir_vault.main.tokens DROP COLUMN write;
    ALTER TABLE weir_vault.main.ciphers DROP COLUMN write;
    DROP TABLE weir_vault.main.index_runs;
    DELETE FROM weir_vault.main.meta WHERE key = 'numbered_from';
    UPDATE weir_vault.main.meta SET value = '1' WHERE key = 'layout'`);
  const old = await sql.rows<{ token: string }>(
    "SELECT token FROM weir_vault.main.tokens WHERE kind = 'email' ORDER BY id",
  );
  sql.close();
  for (let start = 0; start < 2; start++) {
    await harness.open(undefined, few);
    const now = await harness.assign(batchOf([1, 2, 3, 4]));
    expect(now.slice(0, 3).toSorted()).toEqual(old.map(({ token }) => token).toSorted());
    expect(now.slice(0, 3)).not.toEqual(before);
    expect((await harness.vault.reveal(now)).get(now[3] ?? "")).toBe(mail(4));
    expect((await harness.vault.reveal(now)).get(now[0] ?? "")).toBe(mail(1));
  }
});

test("every pair of ids has words of its own, spread evenly", () => {
  const id = fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 2 ** 52 }));
  const pairs = new Map<string, string>();
  const buckets = new Uint32Array(16);
  fc.assert(
    fc.property(id, id, (token, subject) => {
      const words = cipherWords(token, subject);
      const key = words.join(" ");
      expect(pairs.get(key) ?? `${token} ${subject}`).toBe(`${token} ${subject}`);
      pairs.set(key, `${token} ${subject}`);
      expect(words.every((word) => Number.isInteger(word) && word >= 0 && word < 2 ** 32)).toBe(true);
    }),
    { numRuns: 2_000 },
  );
  for (let n = 1; n <= 16_000; n++) {
    const bucket = cipherWords(n, n)[0] >>> 28;
    buckets[bucket] = (buckets[bucket] ?? 0) + 1;
  }
  for (const count of buckets) expect(Math.abs(count - 1_000)).toBeLessThan(200);
});
