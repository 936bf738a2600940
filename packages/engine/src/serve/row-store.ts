import { randomBytes } from "node:crypto";
import { HashTable, hashText } from "./hash-table.ts";
import { RowFiles } from "./row-files.ts";
import type { Place, RowRecord } from "./row-files.ts";

/** A row to be stored. See keys.ts for the texts. */
export interface StoredRow {
  /** Names the row. */
  readonly key: string;
  /** The leading columns by which rows are found together; empty where rows are found by key only. */
  readonly group: string;
  readonly order: string;
  /** JSON. */
  readonly row: string | Buffer;
}

export interface RowStoreOptions {
  /** Of its own: what is in it is removed. */
  readonly directory: string;
  /** Whether rows are found by group as well: 12 more bytes a row. */
  readonly grouped: boolean;
  readonly segmentBytes?: number;
}

/** Words of an entry. */
const [hashWord, segmentWord, offsetWord, lengthWord, groupWord, nextWord, beforeWord] = [
  0, 1, 2, 3, 4, 5, 6,
];
const chunkBits = 14;
const chunkEntries = 1 << chunkBits;
/** In `next` and `before`: entry numbers count from 1 there. */
const none = 0;

interface Change {
  readonly hash: number;
  readonly groupHash: number;
  /** The entry of the key; undefined where it has none. */
  readonly entry: number | undefined;
  /** Where the new row is; undefined where it goes. */
  readonly place: Place | undefined;
}

/**
 * A copy of a table's rows that finds one in microseconds: the rows in files, and in memory 16 to 28 bytes of index a row
 * and about 6 of hash table. Not durable: it is built from the table at every start.
 *
 * What is put and removed is not seen until `publish`, which lets all of it be seen at once; that costs 0.2 us a row, as
 * everything else (files, comparing keys) is done before.
 */
export class RowStore {
  readonly #files: RowFiles;
  readonly #grouped: boolean;
  readonly #words: number;
  readonly #seed = randomBytes(4).readUInt32LE();
  /** Entries of `words` numbers each. */
  readonly #chunks: Uint32Array[] = [];
  readonly #keys = new HashTable((entry) => this.#get(entry, hashWord));
  /** From the hash of a group to its first entry; groups that share a hash share a list. */
  readonly #groups = new HashTable((entry) => this.#get(entry, groupWord));
  readonly #free: number[] = [];
  #entries = 0;
  #size = 0;
  #changes: Change[] = [];

  constructor({ directory, grouped, segmentBytes = 64 * 1024 * 1024 }: RowStoreOptions) {
    this.#files = new RowFiles(directory, segmentBytes);
    this.#grouped = grouped;
    this.#words = grouped ? 7 : 4;
  }

  /** Published rows. */
  get size(): number {
    return this.#size;
  }

  get memoryBytes(): number {
    const entries = this.#chunks.length * chunkEntries * this.#words * 4;
    return entries + this.#keys.bytes + this.#groups.bytes + this.#free.length * 8;
  }

  get fileBytes(): number {
    return this.#files.bytes;
  }

  /** A row to take the place of the one with its key, once published. Each key at most once between two calls of `publish`. */
  put({ key, group, order, row }: StoredRow): void {
    const hash = hashText(key, this.#seed);
    const entry = this.#find(hash, key);
    const groupHash = this.#grouped ? hashText(group, this.#seed) : 0;
    this.#changes.push({ hash, groupHash, entry, place: this.#files.append(key, order, row) });
  }

  /** A row to go, once published. One that is not there is no harm. */
  remove(key: string): void {
    const hash = hashText(key, this.#seed);
    const entry = this.#find(hash, key);
    if (entry !== undefined) this.#changes.push({ hash, groupHash: 0, entry, place: undefined });
  }

  /** Lets what was put and removed since the last time be seen. */
  publish(): void {
    for (const { hash, groupHash, entry, place } of this.#changes) {
      if (entry !== undefined) this.#files.forget(this.#placeOf(entry));
      if (place === undefined) this.#drop(hash, entry);
      else if (entry === undefined) this.#add(hash, groupHash, place);
      else this.#setPlace(entry, place);
    }
    this.#changes = [];
  }

  /** Forgets what was put and removed since the last time. */
  discard(): void {
    for (const { place } of this.#changes) if (place !== undefined) this.#files.forget(place);
    this.#changes = [];
  }

  /** The row with that key: JSON. */
  get(key: string): Buffer | undefined {
    let found: Buffer | undefined;
    this.#keys.find(hashText(key, this.#seed), (entry) => {
      const record = this.#files.read(this.#placeOf(entry));
      if (record.key !== key) return false;
      found = record.row;
      return true;
    });
    return found;
  }

  /**
   * Rows of a group, and of others that share its hash, in no order.
   *
   * @returns undefined where there are more than `most`: reading them would keep every other request waiting
   */
  group(group: string, most: number): RowRecord[] | undefined {
    const groupHash = hashText(group, this.#seed);
    const entries: number[] = [];
    const first = this.#groups.find(groupHash, () => true);
    for (let entry = first; entry !== undefined; entry = this.#next(entry)) {
      if (entries.length === most) return undefined;
      entries.push(entry);
    }
    return entries.map((entry) => this.#files.read(this.#placeOf(entry)));
  }

  /**
   * Copies the live rows out of files that are mostly dead, some rows at a time. Not while anything is put or removed and
   * not published.
   */
  async clean(pause: () => Promise<void>): Promise<void> {
    for (let file = this.#files.wasteful; file !== undefined; file = this.#files.wasteful) {
      let n = 0;
      for (const { place, record } of this.#files.scan(file)) {
        const isHere = (entry: number): boolean =>
          this.#get(entry, segmentWord) === place.segment && this.#get(entry, offsetWord) === place.offset;
        const entry = this.#keys.find(hashText(record.key, this.#seed), isHere);
        if (entry !== undefined) {
          this.#files.forget(place);
          this.#setPlace(entry, this.#files.append(record.key, record.order, record.row));
        }
        if (++n % 256 === 0) await pause();
      }
      this.#files.remove(file);
    }
  }

  /** Removes its files. */
  close(): void {
    this.#files.close();
  }

  #find(hash: number, key: string): number | undefined {
    return this.#keys.find(hash, (entry) => this.#files.hasKey(this.#placeOf(entry), key));
  }

  #add(hash: number, groupHash: number, place: Place): void {
    const entry = this.#free.pop() ?? this.#entries++;
    if (entry >= this.#chunks.length * chunkEntries)
      this.#chunks.push(new Uint32Array(chunkEntries * this.#words));
    this.#set(entry, hashWord, hash);
    this.#setPlace(entry, place);
    this.#keys.insert(hash, entry);
    this.#size++;
    if (!this.#grouped) return;
    const first = this.#groups.find(groupHash, () => true);
    this.#set(entry, groupWord, groupHash);
    this.#set(entry, beforeWord, none);
    this.#set(entry, nextWord, first === undefined ? none : first + 1);
    if (first === undefined) this.#groups.insert(groupHash, entry);
    else {
      this.#set(first, beforeWord, entry + 1);
      this.#groups.replace(groupHash, first, entry);
    }
  }

  #drop(hash: number, entry: number | undefined): void {
    if (entry === undefined) return;
    this.#keys.remove(hash, entry);
    this.#size--;
    if (this.#grouped) this.#unlink(entry);
    this.#free.push(entry);
  }

  #unlink(entry: number): void {
    const groupHash = this.#get(entry, groupWord);
    const [before, next] = [this.#get(entry, beforeWord), this.#get(entry, nextWord)];
    if (next !== none) this.#set(next - 1, beforeWord, before);
    if (before !== none) this.#set(before - 1, nextWord, next);
    else if (next !== none) this.#groups.replace(groupHash, entry, next - 1);
    else this.#groups.remove(groupHash, entry);
  }

  #next(entry: number): number | undefined {
    const next = this.#get(entry, nextWord);
    return next === none ? undefined : next - 1;
  }

  #placeOf(entry: number): Place {
    return {
      segment: this.#get(entry, segmentWord),
      offset: this.#get(entry, offsetWord),
      length: this.#get(entry, lengthWord),
    };
  }

  #setPlace(entry: number, { segment, offset, length }: Place): void {
    this.#set(entry, segmentWord, segment);
    this.#set(entry, offsetWord, offset);
    this.#set(entry, lengthWord, length);
  }

  #get(entry: number, word: number): number {
    return this.#chunks[entry >>> chunkBits]?.[(entry & (chunkEntries - 1)) * this.#words + word] ?? 0;
  }

  #set(entry: number, word: number, value: number): void {
    const chunk = this.#chunks[entry >>> chunkBits];
    if (chunk === undefined) throw new Error(`unreachable: there is no entry ${entry}`);
    chunk[(entry & (chunkEntries - 1)) * this.#words + word] = value;
  }
}
