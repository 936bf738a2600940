import type { LatencyHistogram } from "./store.ts";

const boundsMs = [0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500];

/** Counts durations into fixed buckets. */
export class Latency {
  readonly #counts = Array.from({ length: boundsMs.length + 1 }, () => 0);
  #count = 0;
  #sumMs = 0;
  #maxMs = 0;

  add(ms: number): void {
    const bucket = boundsMs.findIndex((bound) => ms <= bound);
    const index = bucket < 0 ? boundsMs.length : bucket;
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#count += 1;
    this.#sumMs += ms;
    this.#maxMs = Math.max(this.#maxMs, ms);
  }

  snapshot(): LatencyHistogram {
    const counts = [...this.#counts];
    return { boundsMs, counts, count: this.#count, sumMs: this.#sumMs, maxMs: this.#maxMs };
  }
}
