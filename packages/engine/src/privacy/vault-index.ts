import { readdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { text } from "@weir/compile";
import { failpoint } from "@weir/log";
import type { Sql } from "../database.ts";
import { makeDirectory } from "../durable.ts";
import { engineError } from "../engine-error.ts";
import { turn } from "../each-row.ts";
import { IdIndex } from "../ids/id-index.ts";
import type { RunInfo } from "../ids/id-index.ts";
import { IdRun, IdRunWriter, entryBytes } from "../ids/id-run.ts";
import type { HashColumns } from "../ids/id-run.ts";
import { vaultTable } from "./vault-file.ts";

/** 128 bits, in words of 32 each; the first is the highest. */
export type Words = readonly [number, number, number, number];

/** The words of `h0` and `h1` of a value. */
export const hashWords =
  "(h0 >> 32)::UINTEGER, (h0 & 4294967295)::UINTEGER, (h1 >> 32)::UINTEGER, (h1 & 4294967295)::UINTEGER";

/** Runs a step while no other uses the vault. */
type Exclusive = <R>(step: () => Promise<R>) => Promise<R>;

export const hashColumns = (size: number): HashColumns => ({
  h0: new Uint32Array(size),
  h1: new Uint32Array(size),
  h2: new Uint32Array(size),
  h3: new Uint32Array(size),
});

export const wordsAt = ({ h0, h1, h2, h3 }: HashColumns, i: number): Words => [
  h0[i] as number,
  h1[i] as number,
  h2[i] as number,
  h3[i] as number,
];

/** What a write adds. */
export interface NewEntries {
  readonly tokens: { readonly value: Words; readonly id: number }[];
  readonly ciphers: { readonly token: number; readonly subject: number }[];
}

/** Ids of what was destroyed. */
export interface Gone {
  readonly tokens: ReadonlySet<number>;
  readonly subjects: ReadonlySet<number>;
}

const entriesAtOnce = 2_048;
/** Rows of a table read at a time. */
const rowsAtOnce = 200_000;
const largestRun = 2 ** 30;
/** Stands where an entry of a ciphertext has its subject. */
const tokenEntry = 0;

/**
 * Which values have a token, and whose ciphertexts there are: exact, with work that grows with the batch and not with the vault. 50,000
 * values that are known, with all that is done about them, take 0.16 s of CPU with 0.1 million values in the vault, 0.25 s with 1 million
 * and 0.27 s with 5 million. (Joins with the vault's tables took 0.08, 0.14 and 0.46 s.)
 *
 * Entries are as those of `ids/`, in memory or in sorted runs on disk: of a token the hash of its value, with its id; of a
 * ciphertext its token and subject. All of it follows from `tokens` and `ciphers`, and is made from them where it is not whole.
 *
 * Invariants:
 * - Runs that `index_runs` lists hold what was written up to their `reach`; what was written since is in memory, read from the
 *   tables at start. A file that is not listed is left over and removed at start.
 * - An entry is added once what it stands for is committed. Used by one step at a time (see `Vault.exclusive`).
 * - Of what was destroyed no run has an entry: the deletion takes all runs off the list, in its transaction; then they are written
 *   anew, listed, and the old ones removed. A crash between leaves an empty list, and the next start makes the index from the tables.
 */
export class VaultIndex {
  readonly #sql: Sql;
  readonly #directory: string;
  readonly #limit: number;
  #entries: IdIndex;
  #sequence = 0;
  /** What was written up to here is in the runs. */
  #reach = 0;
  #merging: Promise<void> | undefined;
  #failure: unknown;
  /** What a destruction failed with. The index may have what is gone: only a start makes it right. */
  #broken: unknown;

  private constructor(sql: Sql, directory: string, limit: number) {
    this.#sql = sql;
    this.#directory = directory;
    this.#limit = limit;
    this.#entries = new IdIndex([], 0);
  }

  /**
   * @param limit entries in memory before they become a run
   * @param onRemade hears why the index is made anew from the tables
   */
  static async open(
    sql: Sql,
    directory: string,
    limit: number,
    onRemade: (reason: string) => void = () => undefined,
  ): Promise<VaultIndex> {
    makeDirectory(directory);
    const index = new VaultIndex(sql, directory, limit);
    await index.#openRuns(true).catch(async (error: unknown) => {
      // A run is missing or damaged: nothing is in it alone.
      const { message, where } = engineError(error);
      onRemade(where === undefined ? message : `${message} (${basename(where)})`);
      index.#entries.close();
      await sql.run(VaultIndex.forget());
      await index.#openRuns();
    });
    await index.#readNewer();
    return index;
  }

  get runs(): number {
    return this.#entries.runs.length;
  }

  /** Ids of values' tokens; NaN of a value that has none. @param values four words of each value's hash */
  async tokensOf(values: HashColumns, count: number): Promise<Float64Array> {
    if (this.#broken !== undefined) throw this.#broken;
    return await this.#entries.findTimes(values, count);
  }

  /** NaN of each pair of which there is no ciphertext. */
  async ciphersOf(tokens: Float64Array, subjects: Float64Array): Promise<Float64Array> {
    const words = hashColumns(tokens.length);
    for (let i = 0; i < tokens.length; i++) {
      const [h0, h1, h2, h3] = cipherWords(tokens[i] as number, subjects[i] as number);
      words.h0[i] = h0;
      words.h1[i] = h1;
      words.h2[i] = h2;
      words.h3[i] = h3;
    }
    return await this.#entries.findTimes(words, tokens.length);
  }

  /**
   * Takes in what was committed, all of it: also where a run cannot be written, which is thrown in the end.
   *
   * @param write the number that its rows have
   */
  async add({ tokens, ciphers }: NewEntries, write: number): Promise<void> {
    let failure: unknown;
    const settle = async (reach: number): Promise<void> => {
      if (failure !== undefined) return;
      await this.#settle(reach).catch((error: unknown) => {
        failure = error;
      });
    };
    for (const [i, { value, id }] of tokens.entries()) {
      this.#restore(value, id, tokenEntry);
      if (i % entriesAtOnce === 0) await settle(write - 1);
    }
    for (const [i, { token, subject }] of ciphers.entries()) {
      this.#restore(cipherWords(token, subject), token, subject);
      if (i % entriesAtOnce === 0) await settle(write - 1);
    }
    await settle(write);
    if (failure !== undefined) throw failure;
  }

  /**
   * Runs a step that destroys while no merge is at work, within `exclusive`; then takes out of the index what it destroyed.
   *
   * @param step deletes, {@link forget}s in its transaction, and gives what is gone
   */
  async destroying<T extends { readonly gone: Gone }>(
    exclusive: Exclusive,
    step: () => Promise<T>,
  ): Promise<T> {
    for (;;) {
      await this.#merging;
      const done = await exclusive(async () => {
        if (this.#broken !== undefined) throw this.#broken;
        if (this.#merging !== undefined) return undefined;
        try {
          const result = await step();
          await this.#takeOut(result.gone);
          return result;
        } catch (error) {
          this.#broken = error;
          throw error;
        }
      });
      if (done !== undefined) return done;
    }
  }

  /** Takes all runs off the list; within the transaction of a deletion. */
  static forget = (): string => `DELETE FROM ${vaultTable("index_runs")}`;

  #restore(words: Words, token: number, of: number): void {
    this.#entries.restore(...words, BigInt(token), BigInt(of));
  }

  /** Lets others have their turn; makes a run when there are enough entries. @param reach up to where all of it is in the runs then */
  async #settle(reach: number): Promise<void> {
    await turn();
    if (this.#entries.recentCount >= this.#limit) await this.#flush(reach);
  }

  async #flush(reach: number): Promise<void> {
    const info = this.#info(this.#nextName(), this.#entries.recentCount);
    await orRemoved(info.path, async () => {
      await this.#entries.flush(info.path);
      failpoint("engine.vault.index_written");
      await this.#sql.run(`INSERT INTO ${vaultTable("index_runs")} VALUES
        (${text(basename(info.path))}, ${info.count}, ${this.#sequence}, ${reach})`);
    });
    failpoint("engine.vault.index_listed");
    this.#entries.flushed(info);
    this.#reach = reach;
  }

  /** Merges runs in the background when there are many of one size. Throws what the last merge failed with. */
  startMerge(exclusive: Exclusive): void {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure;
    const group = this.#merging === undefined ? this.#entries.mergeable(largestRun) : undefined;
    if (group === undefined) return;
    this.#merging = this.#merge(group, exclusive)
      .catch((error: unknown) => {
        this.#failure = error;
      })
      .finally(() => {
        this.#merging = undefined;
      });
  }

  async #merge(group: readonly RunInfo[], exclusive: Exclusive): Promise<void> {
    const path = join(this.#directory, this.#nextName());
    const count = await orRemoved(path, () => this.#entries.merge(group, path));
    failpoint("engine.vault.index_merged");
    const runs = vaultTable("index_runs");
    const old = group.map((info) => text(basename(info.path))).join(", ");
    await exclusive(async () => {
      await this.#sql.run(`BEGIN;
        INSERT INTO ${runs} SELECT ${text(basename(path))}, ${count}, max(seq), max(reach) FROM ${runs} WHERE path IN (${old});
        DELETE FROM ${runs} WHERE path IN (${old});
        COMMIT`);
      this.#entries.merged(group, this.#info(basename(path), count));
    });
    for (const { path: merged } of group) rmSync(merged, { force: true });
  }

  /** Writes the runs anew without what is gone, and reads what is newer. The list is empty. */
  async #takeOut(gone: Gone): Promise<void> {
    const old = this.#entries.runs;
    this.#entries.close();
    const kept: { readonly name: string; readonly count: number }[] = [];
    // The oldest first, as names grow with age.
    for (const { path, count } of old.toReversed()) {
      const name = this.#nextName();
      kept.push({ name, count: await copyWithout(path, join(this.#directory, name), count, gone) });
    }
    failpoint("engine.vault.index_rewritten");
    const rows = kept.map(
      ({ name, count }) => `(${text(name)}, ${count}, ${Number.parseInt(name, 10)}, ${this.#reach})`,
    );
    if (rows.length > 0)
      await this.#sql.run(`INSERT INTO ${vaultTable("index_runs")} VALUES ${rows.join(", ")}`);
    failpoint("engine.vault.index_relisted");
    await this.#openRuns();
    await this.#readNewer();
  }

  /** @param verified whether every entry is read and compared with its run's checksum */
  async #openRuns(verified = false): Promise<void> {
    const runs = await this.#sql.rows<{ path: string; entries: number; seq: number; reach: number }>(
      `SELECT path, entries::DOUBLE AS entries, seq::DOUBLE AS seq, reach::DOUBLE AS reach
       FROM ${vaultTable("index_runs")} ORDER BY seq DESC`,
    );
    const listed = new Set(runs.map(({ path }) => path));
    for (const file of readdirSync(this.#directory))
      if (!listed.has(file)) rmSync(join(this.#directory, file));
    const infos = runs.map(({ path, entries }) => this.#info(path, entries));
    if (verified) infos.forEach(verify);
    this.#entries = new IdIndex(infos, this.#limit);
    this.#reach = Math.max(0, ...runs.map(({ reach }) => reach));
    // The name of a merged run has a higher number than its place in the order.
    const numbers = runs.map(({ path, seq }) => Math.max(seq, Number.parseInt(path, 10)));
    this.#sequence = Math.max(this.#sequence, ...numbers);
  }

  /** What was written since the runs. */
  async #readNewer(): Promise<void> {
    const from = this.#reach;
    const [tokens, ciphers] = [vaultTable("tokens"), vaultTable("ciphers")];
    const { last } = await this.#sql.row<{ last: number }>(
      `SELECT greatest(${from}, (SELECT max(write) FROM ${tokens}), (SELECT max(write) FROM ${ciphers}))::DOUBLE AS last`,
    );
    const sequence = this.#sequence;
    await this.#read(`${hashWords}, id::DOUBLE`, tokens, from, (number) =>
      this.#restore([number(0), number(1), number(2), number(3)], number(4), tokenEntry),
    );
    await this.#read("token::DOUBLE, subject::DOUBLE", ciphers, from, (number) =>
      this.#restore(cipherWords(number(0), number(1)), number(0), number(1)),
    );
    // Runs made on the way reach no further than those before; one more makes all of it count.
    if (this.#sequence > sequence) await this.#flush(last);
  }

  /** Reads what was written after `from`, some rows at a time: to note a run would end a result that is not read to its end. */
  async #read(
    columns: string,
    table: string,
    from: number,
    take: (number: (column: number) => number) => void,
  ): Promise<void> {
    const { top } = await this.#sql.row<{ top: number }>(
      `SELECT coalesce(max(rowid), -1)::DOUBLE AS top FROM ${table}`,
    );
    for (let low = 0; low <= top; low += rowsAtOnce) {
      const some = `rowid BETWEEN ${low} AND ${low + rowsAtOnce - 1}`;
      const result = await this.#sql.held(
        `SELECT ${columns} FROM ${table} WHERE write > ${from} AND ${some}`,
      );
      for await (const rows of result) {
        const vectors = Array.from({ length: rows.columnCount }, (_, i) => rows.getColumnVector(i));
        for (let row = 0; row < rows.rowCount; row++)
          take((column) => vectors[column]?.getItem(row) as number);
        // What was read so far is not all: a run of it covers no more than the runs before.
        await this.#settle(this.#reach);
      }
    }
  }

  #info(name: string, count: number): RunInfo {
    return { path: join(this.#directory, name), count, newestReceivedUs: 0 };
  }

  #nextName(): string {
    return `${String(++this.#sequence).padStart(10, "0")}.run`;
  }

  async close(): Promise<void> {
    await this.#merging;
    this.#entries.close();
  }
}

/** @throws WeirError `state_corrupt`, `state_unreadable` */
function verify({ path }: RunInfo): void {
  const run = IdRun.open(path);
  try {
    run.verify();
  } finally {
    run.close();
  }
}

/** Leaves no file where the step that writes it fails. */
async function orRemoved<T>(path: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    for (const file of [path, `${path}.tmp`]) rmSync(file, { force: true });
    throw error;
  }
}

/** Copies a run without entries that are gone; gives how many stay. */
async function copyWithout(from: string, to: string, count: number, gone: Gone): Promise<number> {
  const run = IdRun.open(from);
  const writer = new IdRunWriter(to, count);
  for (const chunk of run.chunks(entriesAtOnce)) {
    let filled = 0;
    for (let at = 0; at < chunk.length; at += entryBytes) {
      const of = Number(chunk.readBigUInt64LE(at + 24));
      const isGone =
        of === tokenEntry ? gone.tokens.has(Number(chunk.readBigInt64LE(at + 16))) : gone.subjects.has(of);
      if (isGone) continue;
      chunk.copy(chunk, filled, at, at + entryBytes);
      filled += entryBytes;
    }
    writer.write(chunk.subarray(0, filled));
    await turn();
  }
  run.close();
  await writer.finish();
  return writer.count;
}

/**
 * Four words for a pair of ids, other ones for every other pair: eight rounds of the permutation of Chaskey (ISO/IEC 29192-6), which
 * spreads them as hashes are spread.
 */
export function cipherWords(token: number, subject: number): Words {
  let a = token >>> 0;
  let b = Math.floor(token / 2 ** 32);
  let c = subject >>> 0;
  let d = Math.floor(subject / 2 ** 32);
  for (let round = 0; round < 8; round++) {
    a = (a + b) | 0;
    b = rotated(b, 5) ^ a;
    a = rotated(a, 16);
    c = (c + d) | 0;
    d = rotated(d, 8) ^ c;
    a = (a + d) | 0;
    d = rotated(d, 13) ^ a;
    c = (c + b) | 0;
    b = rotated(b, 7) ^ c;
    c = rotated(c, 16);
  }
  return [a >>> 0, b >>> 0, c >>> 0, d >>> 0];
}

const rotated = (word: number, by: number): number => (word << by) | (word >>> (32 - by));
