/** A destruction that fails in its middle, as on a disk that takes no more: nothing is lost or half gone, and the next start goes on. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { VaultHarness } from "./vault.fixture.ts";
import type { Wanted } from "./vault.fixture.ts";

let harness: VaultHarness;
beforeEach(() => {
  harness = new VaultHarness();
});
afterEach(async () => {
  limitFiles("unlimited");
  await harness.end();
});

/** No write of this process makes a file longer than this, in bytes: the kernel refuses it (EFBIG), as it does where a disk is full. */
function limitFiles(most: number | "unlimited"): void {
  const { status, stderr } = spawnSync(
    "prlimit",
    ["--pid", String(process.pid), `--fsize=${most}:unlimited`],
    {
      encoding: "utf8",
    },
  );
  if (status !== 0) throw new Error(stderr);
}

const people = 400;
const few = 200;
const batch: Wanted[] = Array.from({ length: people }, (_, n) => ({
  kind: "email",
  value: `p${n}@example.com`,
  subject: `user ${n}`,
}));
const file = (): string => join(harness.dataDir, "vault", "vault.duckdb");
const index = (): string => join(harness.dataDir, "vault", "index");
const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

/** What the vault has of a person: token and pseudonym. */
async function tokensOf(n: number): Promise<string[]> {
  const found = [
    ...(await harness.vault.findTokens(`p${n}@example.com`)),
    ...(await harness.vault.findTokens(`user ${n}`)),
  ];
  return found.map(({ token }) => token);
}

/** The bytes of a person's key, as the file has it. */
async function keyOf(token: string): Promise<Buffer> {
  const sql = await harness.connect();
  const { hex } = await sql.row<{ hex: string }>(
    `SELECT hex(wrapped) AS hex FROM weir_vault.main.subjects s JOIN weir_vault.main.tokens t USING (id) WHERE t.token = '${token}'`,
  );
  sql.close();
  return Buffer.from(hex, "hex");
}

/** Everything that is right once persons are gone, and before. */
async function expectWhole(tokens: readonly string[], gone: readonly number[]): Promise<void> {
  const again = await harness.assign(batch);
  for (const [n, token] of again.entries()) {
    if (gone.includes(n)) expect(token, `of ${n}`).not.toBe(tokens[n]);
    else expect(token, `of ${n}`).toBe(tokens[n]);
  }
  const values = await harness.vault.reveal(tokens);
  const there = batch.flatMap(({ value }, n) =>
    gone.includes(n) ? [] : [[tokens[n] ?? "", value] as const],
  );
  expect(values).toEqual(new Map(there));
}

interface Failure {
  /** Makes it fail; gives what ends that. */
  readonly begin: () => () => void;
  /** The statement or file that fails. */
  readonly at: RegExp;
  /** How many of two persons are there when the vault is opened next. */
  readonly left: 0 | 2;
}

const full = (most: () => number): Failure["begin"] => {
  return () => {
    limitFiles(most());
    return () => limitFiles("unlimited");
  };
};
const failures: Readonly<Record<string, Failure>> = {
  "no byte of its deletion can be written": {
    begin: full(() => sizeOf(`${file()}.wal`) + 1),
    at: /in: COMMIT/,
    left: 2,
  },
  "its deletion is written, and not what stays": {
    begin: full(() => 60_000),
    at: /in: COPY FROM DATABASE/,
    left: 0,
  },
  "what stays is written, and not as a file": {
    begin: full(() => 1_000_000),
    at: /in: CHECKPOINT weir_vault_new/,
    left: 0,
  },
  "the vault is written anew, and not its index": {
    begin: () => {
      const last = Math.max(...readdirSync(index()).map((name) => Number.parseInt(name, 10)));
      const draft = join(index(), `${String(last + 1).padStart(10, "0")}.run.tmp`);
      mkdirSync(draft);
      return () => rmSync(draft, { recursive: true });
    },
    at: /run cannot be opened.*EISDIR/,
    left: 0,
  },
};

test.skipIf(process.platform !== "linux").each(Object.entries(failures))(
  "%s",
  async (_, { begin, at, left }) => {
    await harness.open(undefined, few);
    const tokens = await harness.assign(batch);
    const gone = [3, 7];
    const persons: string[] = [];
    for (const n of gone) persons.push(...(await tokensOf(n)).filter((token) => token.startsWith("sub_")));
    const keys = await Promise.all(persons.map(keyOf));
    // The vault is in its file, not in the file beside it.
    await harness.open(undefined, few);
    const end = begin();
    await expect(harness.vault.destroySubjects(persons)).rejects.toThrow(at);
    // Nobody gets a token by an index that may have what is gone, and a start alone goes on.
    await expect(harness.assign(batch.slice(0, 10))).rejects.toThrow();
    await expect(harness.vault.destroySubjects(persons)).rejects.toThrow(at);
    await harness.close().catch(() => undefined);
    // A start that has no room either changes nothing.
    if (at.source.includes("CHECKPOINT")) {
      await expect(harness.open(undefined, few)).rejects.toThrow(/File too large/);
      await harness.close().catch(() => undefined);
    }
    end();

    // As an engine does: it opens the vault, and asks for the same again before it takes records.
    await harness.open(undefined, few);
    const found = await Promise.all(gone.map(tokensOf));
    expect(found.map((list) => list.length)).toEqual([left, left]);
    const { proof } = await harness.vault.destroySubjects(persons);
    expect(proof.decrypted).toBe(0);
    await expectWhole(tokens, gone);
    await harness.close();
    const bytes = readFileSync(file());
    for (const key of keys) expect(bytes.includes(key)).toBe(false);
    expect(readdirSync(join(harness.dataDir, "vault")).sort()).toEqual([
      "index",
      "master.key",
      "vault.duckdb",
    ]);
  },
);
