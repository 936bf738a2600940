/**
 * A blocked Bloom filter: all bits of an id lie in one 64-byte block, so a probe costs one cache miss. At 10 bits an
 * id about 1.3 % of strangers pass; each costs one read of the run (see id-run.ts), never a wrong answer.
 */
const wordsPerBlock = 16;

/** Blocks for so many ids at 10 bits each. */
export const filterWords = (ids: number): number => Math.max(1, Math.ceil((ids * 10) / 512)) * wordsPerBlock;

const blockOf = (h1: number, blocks: number): number =>
  // h1 / 2^32 is exact in a double: maps h1 evenly to [0, blocks).
  Math.floor((h1 / 4294967296) * blocks) * wordsPerBlock;

export function filterAdd(words: Uint32Array, h1: number, h2: number, h3: number): void {
  const base = blockOf(h1, words.length / wordsPerBlock);
  for (let i = 0; i < 6; i++) {
    const bit = bitOf(i, h2, h3);
    const word = base + (bit >>> 5);
    words[word] = (words[word] as number) | (1 << (bit & 31));
  }
}

export function filterHas(words: Uint32Array, h1: number, h2: number, h3: number): boolean {
  const base = blockOf(h1, words.length / wordsPerBlock);
  for (let i = 0; i < 6; i++) {
    const bit = bitOf(i, h2, h3);
    if (((words[base + (bit >>> 5)] as number) & (1 << (bit & 31))) === 0) return false;
  }
  return true;
}

/** Six independent 9-bit positions out of 64 hash bits. */
function bitOf(i: number, h2: number, h3: number): number {
  return i < 3 ? (h2 >>> (i * 9)) & 511 : (h3 >>> ((i - 3) * 9)) & 511;
}
