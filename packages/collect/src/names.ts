/** Slots of the table that most records fit; a record with more than half as many names gets a larger one. */
const SMALL_SLOTS = 1024;
/** Slots looked at for one name before the cheap hash is taken to be under attack. Chance alone stays below 16. */
const MAX_PROBES = 48;

/**
 * The member names of all objects of one record, to find a name that one object has twice.
 *
 * One open-addressing table serves all objects of a record: an entry is (object number, name), so nested objects do not
 * disturb each other and nothing is removed when an object closes. `reset` forgets everything in O(1): slots hold values of
 * a counter that only grows, and a value not above `#base` is an empty slot.
 *
 * The hash samples three words of a name, about 5 ns where FNV-1a over all of it took 12; equal hashes are always settled by
 * comparing bytes. Names chosen to collide would make that quadratic, so a name that needs more than
 * MAX_PROBES slots switches the record to HalfSipHash-1-3 under a random key, which nobody outside can collide.
 */
export class NameTable {
  readonly #small = new Int32Array(SMALL_SLOTS);
  #slots: Int32Array = this.#small;
  #mask = SMALL_SLOTS - 1;
  #base = 0;
  #count = 0;
  #keyed = false;
  // Entry i: object number, hash, and where its name is: in the body, or in #decoded when the start is negative (~start).
  #objects = new Int32Array(SMALL_SLOTS);
  #hashes = new Int32Array(SMALL_SLOTS);
  #starts = new Int32Array(SMALL_SLOTS);
  #sizes = new Int32Array(SMALL_SLOTS);
  #body: Uint8Array = new Uint8Array(0);
  #bodyView: DataView = new DataView(new ArrayBuffer(0));
  /** Names that were written with escapes, decoded to UTF-8: `"a"` and `"\u0061"` are one name. */
  #decoded: Uint8Array = new Uint8Array(0);
  #decodedView = new DataView(new ArrayBuffer(0));
  #decodedBytes = 0;
  readonly #counterLimit: number;
  readonly #key = crypto.getRandomValues(new Int32Array(2));

  constructor(counterLimit = 0x3fff_ffff) {
    this.#counterLimit = counterLimit;
  }

  /** Forgets all names; those added next lie in `body`, which has at least 4 bytes more than they need; `view` is on the same bytes. */
  reset(body: Uint8Array, view: DataView): void {
    this.#body = body;
    this.#bodyView = view;
    this.#base += this.#count;
    this.#count = 0;
    this.#decodedBytes = 0;
    this.#keyed = false;
    if (this.#slots !== this.#small) {
      this.#slots = this.#small;
      this.#mask = SMALL_SLOTS - 1;
    }
    if (this.#base > this.#counterLimit) {
      this.#small.fill(0);
      this.#base = 0;
    }
  }

  /**
   * Adds the name at `start..end` of the body (between its quotes) to object number `object`.
   * Returns false if that object has it already.
   */
  add(object: number, start: number, end: number, escaped: boolean): boolean {
    if (escaped) return this.#addDecoded(object, start, end);
    return this.#insert(object, start, end - start);
  }

  #addDecoded(object: number, start: number, end: number): boolean {
    const text = Buffer.from(
      this.#body.buffer,
      this.#body.byteOffset + start - 1,
      end - start + 2,
    ).toString();
    const name = Buffer.from(JSON.parse(text) as string);
    const at = this.#decodedBytes;
    if (at + name.length + 4 > this.#decoded.length) {
      const larger = new Uint8Array(Math.max(1024, 2 * (at + name.length + 4)));
      larger.set(this.#decoded.subarray(0, at));
      this.#decoded = larger;
      this.#decodedView = new DataView(larger.buffer);
    }
    this.#decoded.set(name, at);
    this.#decodedBytes = at + name.length;
    return this.#insert(object, ~at, name.length);
  }

  #insert(object: number, start: number, size: number): boolean {
    const hash = this.#keyed ? this.#keyedHash(object, start, size) : this.#sampledHash(object, start, size);
    const entry = this.#count;
    if (entry * 2 >= this.#mask) this.#grow();
    const slots = this.#slots;
    const mask = this.#mask;
    const base = this.#base;
    let slot = hash & mask;
    for (let probes = 0; ; probes++) {
      const value = slots[slot]!;
      if (value <= base) break;
      const other = value - base - 1;
      if (this.#hashes[other] === hash && this.#objects[other] === object && this.#same(other, start, size)) {
        return false;
      }
      if (probes === MAX_PROBES && !this.#keyed) {
        this.#rekey();
        return this.#insert(object, start, size);
      }
      slot = (slot + 1) & mask;
    }
    slots[slot] = base + entry + 1;
    this.#objects[entry] = object;
    this.#hashes[entry] = hash;
    this.#starts[entry] = start;
    this.#sizes[entry] = size;
    this.#count = entry + 1;
    return true;
  }

  /** Of the size, the object number and three words of the name: its first, middle and last four bytes. */
  #sampledHash(object: number, start: number, size: number): number {
    const view = start < 0 ? this.#decodedView : this.#bodyView;
    const from = start < 0 ? ~start : start;
    let name = view.getInt32(from, true);
    if (size < 4) name &= (1 << (size * 8)) - 1;
    else {
      name ^= Math.imul(view.getInt32(from + ((size - 4) >> 1), true), 0xcc9e2d51);
      name ^= Math.imul(view.getInt32(from + size - 4, true), 0x1b873593);
    }
    const mixed = Math.imul((name + size) ^ Math.imul(object, 0x9e3779b1), 0x85ebca6b);
    return mixed ^ (mixed >>> 15);
  }

  /** HalfSipHash-1-3 (Aumasson and Bernstein) of the name and its object number. */
  #keyedHash(object: number, start: number, size: number): number {
    const bytes = start < 0 ? this.#decoded : this.#body;
    const from = start < 0 ? ~start : start;
    const state = sip;
    state[0] = this.#key[0]!;
    state[1] = this.#key[1]!;
    state[2] = 0x6c796765 ^ this.#key[0]!;
    state[3] = 0x74656462 ^ this.#key[1]!;
    sipWord(object);
    const words = size & ~3;
    for (let i = from; i < from + words; i += 4) {
      sipWord(bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24));
    }
    let last = size << 24;
    for (let i = words; i < size; i++) last |= bytes[from + i]! << (8 * (i - words));
    sipWord(last);
    state[2] ^= 0xff;
    sipRound();
    sipRound();
    sipRound();
    return state[1] ^ state[3];
  }

  #same(other: number, start: number, size: number): boolean {
    if (this.#sizes[other] !== size) return false;
    const otherStart = this.#starts[other]!;
    const left = otherStart < 0 ? this.#decoded : this.#body;
    const right = start < 0 ? this.#decoded : this.#body;
    const leftFrom = otherStart < 0 ? ~otherStart : otherStart;
    const rightFrom = start < 0 ? ~start : start;
    for (let i = 0; i < size; i++) if (left[leftFrom + i] !== right[rightFrom + i]) return false;
    return true;
  }

  /** Doubles the table and the entry columns, and enters all names again. */
  #grow(): void {
    const size = (this.#mask + 1) * 2;
    this.#slots = new Int32Array(size);
    this.#mask = size - 1;
    if (this.#objects.length < size) {
      this.#objects = widened(this.#objects, size);
      this.#hashes = widened(this.#hashes, size);
      this.#starts = widened(this.#starts, size);
      this.#sizes = widened(this.#sizes, size);
    }
    this.#enterAll();
  }

  #rekey(): void {
    this.#keyed = true;
    for (let i = 0; i < this.#count; i++) {
      this.#hashes[i] = this.#keyedHash(this.#objects[i]!, this.#starts[i]!, this.#sizes[i]!);
    }
    this.#enterAll();
  }

  #enterAll(): void {
    // Raising the base empties every slot; entry i is then the value base + i + 1 again.
    this.#base += this.#count;
    for (let i = 0; i < this.#count; i++) {
      let slot = this.#hashes[i]! & this.#mask;
      while (this.#slots[slot]! > this.#base) slot = (slot + 1) & this.#mask;
      this.#slots[slot] = this.#base + i + 1;
    }
  }
}

function widened(column: Int32Array, size: number): Int32Array<ArrayBuffer> {
  const wider = new Int32Array(size);
  wider.set(column);
  return wider;
}

/** State of the hash under way; module-level because it never outlives one call. */
const sip = new Int32Array(4);

function sipWord(word: number): void {
  sip[3]! ^= word;
  sipRound();
  sip[0]! ^= word;
}

function sipRound(): void {
  let v1 = sip[1]!;
  let v2 = sip[2]!;
  let v3 = sip[3]!;
  let v0 = (sip[0]! + v1) | 0;
  v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
  v0 = (v0 << 16) | (v0 >>> 16);
  v2 = (v2 + v3) | 0;
  v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
  v0 = (v0 + v3) | 0;
  v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
  v2 = (v2 + v1) | 0;
  v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
  v2 = (v2 << 16) | (v2 >>> 16);
  sip[0] = v0;
  sip[1] = v1;
  sip[2] = v2;
  sip[3] = v3;
}
