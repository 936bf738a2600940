/**
 * A hash table from 32-bit hashes to numbers of entries, which the caller keeps: open addressing, one slot of 4 bytes an
 * entry, no objects. Equality is the caller's as well: `matches` decides whether an entry of the hash is the one meant.
 *
 * It is 256 tables by the top byte, each grown by itself: with one of 10 million slots, a single insertion would stop the
 * process for half a second.
 */
const partitions = 256;
const leastSlots = 16;

export class HashTable {
  readonly #hashOf: (entry: number) => number;
  /** Slots hold the entry's number + 1; 0 is a free slot. */
  readonly #slots: Uint32Array[] = Array.from({ length: partitions }, () => new Uint32Array(leastSlots));
  readonly #used = new Uint32Array(partitions);
  #bytes = partitions * leastSlots * 4;

  /** @param hashOf the hash that an entry was inserted under */
  constructor(hashOf: (entry: number) => number) {
    this.#hashOf = hashOf;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The entry of that hash for which `matches`, or undefined. */
  find(hash: number, matches: (entry: number) => boolean): number | undefined {
    const slots = this.#partition(hash);
    const mask = slots.length - 1;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const slot = slots[at] ?? 0;
      if (slot === 0) return undefined;
      if (this.#hashOf(slot - 1) === hash && matches(slot - 1)) return slot - 1;
    }
  }

  /** Adds an entry that is not there. */
  insert(hash: number, entry: number): void {
    const index = hash >>> 24;
    let slots = this.#partition(hash);
    if (((this.#used[index] ?? 0) + 1) * 10 > slots.length * 7) slots = this.#grow(index, slots);
    place(slots, hash, entry + 1);
    this.#used[index] = (this.#used[index] ?? 0) + 1;
  }

  /** Puts an entry in the place of another of the same hash. */
  replace(hash: number, entry: number, by: number): void {
    const slots = this.#partition(hash);
    slots[this.#slotOf(slots, hash, entry)] = by + 1;
  }

  /** Removes an entry that is there. Those behind it in its run move up, so that no marks of removed ones are left. */
  remove(hash: number, entry: number): void {
    const index = hash >>> 24;
    const slots = this.#partition(hash);
    const mask = slots.length - 1;
    let hole = this.#slotOf(slots, hash, entry);
    for (let at = (hole + 1) & mask; slots[at] !== 0; at = (at + 1) & mask) {
      const slot = slots[at] ?? 0;
      const home = this.#hashOf(slot - 1) & mask;
      // Whether it may stand in the hole: its home is not between the hole and it.
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      slots[hole] = slot;
      hole = at;
    }
    slots[hole] = 0;
    this.#used[index] = (this.#used[index] ?? 0) - 1;
  }

  #partition(hash: number): Uint32Array {
    const slots = this.#slots[hash >>> 24];
    if (slots === undefined) throw new Error(`unreachable: ${hash} is not a 32-bit hash`);
    return slots;
  }

  #slotOf(slots: Uint32Array, hash: number, entry: number): number {
    const mask = slots.length - 1;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      if (slots[at] === entry + 1) return at;
      if (slots[at] === 0) throw new Error(`unreachable: entry ${entry} is not in the table`);
    }
  }

  #grow(index: number, old: Uint32Array): Uint32Array {
    const slots = new Uint32Array(old.length * 2);
    for (const slot of old) if (slot !== 0) place(slots, this.#hashOf(slot - 1), slot);
    this.#slots[index] = slots;
    this.#bytes += old.length * 4;
    return slots;
  }
}

function place(slots: Uint32Array, hash: number, value: number): void {
  const mask = slots.length - 1;
  let at = hash & mask;
  while (slots[at] !== 0) at = (at + 1) & mask;
  slots[at] = value;
}

/** A hash of a text, as an unsigned 32-bit number; a secret seed keeps clients from choosing texts that collide. */
export function hashText(text: string, seed: number): number {
  let h = seed ^ text.length;
  for (let i = 0; i < text.length; i++) {
    h = Math.imul(h ^ text.charCodeAt(i), 0x5bd1e995);
    h = (h ^ (h >>> 15)) + seed;
  }
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
