/** Chances that a seed repeats. */
export interface Chances {
  /** A whole number from 0 to `below` - 1. */
  below(below: number): number;
  /** True in `percent` of the cases. */
  in100(percent: number): boolean;
  pick<T>(from: readonly T[]): T;
}

/** The generator is mulberry32: small, fast, and good enough to choose what to do next. */
export function seeded(seed: number): Chances {
  let state = seed | 0;
  const below = (n: number): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * n);
  };
  return {
    below,
    in100: (percent) => below(100) < percent,
    pick<T>(from: readonly T[]): T {
      if (from.length === 0) throw new RangeError("nothing to pick from");
      return from[below(from.length)] as T;
    },
  };
}

/** The seed of this run: `SEED`, so that a failure can be repeated, or else a new one. */
export function seedOfRun(): number {
  const given = process.env["SEED"];
  return given === undefined || given === "" ? Date.now() % 1_000_000_000 : Number(given);
}
