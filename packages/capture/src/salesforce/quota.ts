import type { Json, JsonObject } from "@weir/contract";
import { isJsonObject } from "@weir/contract";
import type { Clock } from "../web/clock.ts";
import type { UsageFiles } from "./usage-files.ts";

const hourMs = 3_600_000;
/** The organisation's quota is over the last 24 hours, of which the first may be an hour's last minutes. */
const windowHours = 25;
/** From this part of the source's share on, requests are spread over the time that is left. */
const slowFrom = 0.8;
/** Whoever used them, the last requests of the organisation are not for copying. */
const reserved = 0.05;
/** How often a stopped source looks whether others have stopped using it all; each look is a request. */
const probeMs = 15 * 60_000;

export type QuotaState = "open" | "slow" | "stopped";

export interface QuotaShares {
  /** Of the organisation's quota, for all readers of the source together. */
  readonly source: number;
  /** Of that, for all backfills together; of no meaning to live capture. */
  readonly backfills?: number;
  /** What the source's other readers have sent; undefined for somebody who only looks, and is not counted. */
  readonly usage?: UsageFiles;
}

/**
 * Keeps a source within its share of the organisation's daily API requests (`Sforce-Limit-Info: api-usage=USED/LIMIT`): it counts its
 * own by the hour, and those of the source's other readers, slows down as they near the share, and stops at it, or when everybody together
 * has used up nearly all.
 */
export class Quota {
  readonly #clock: Clock;
  readonly #shares: QuotaShares;
  readonly #onChange: (state: QuotaState, why: string) => void;
  /** Own requests by hour since the epoch. */
  readonly #hours = new Map<number, number>();
  #used: number | undefined;
  #limit: number | undefined;
  #state: QuotaState = "open";
  #probedMs = 0;

  constructor(clock: Clock, shares: QuotaShares, onChange: (state: QuotaState, why: string) => void) {
    this.#clock = clock;
    this.#shares = shares;
    this.#onChange = onChange;
    for (const [hour, count] of shares.usage?.own() ?? []) this.#hours.set(hour, count);
  }

  /** Returns when a request may be sent, and counts it; at once when the signal aborts. */
  async take(signal: AbortSignal): Promise<void> {
    for (;;) {
      const { state, why, waitMs } = this.#judge();
      if (state !== this.#state) {
        this.#state = state;
        this.#onChange(state, why);
      }
      if (waitMs > 0) await this.#clock.sleep(waitMs, signal);
      if (signal.aborted || state !== "stopped") break;
      if (this.#isUsedUp() && this.#clock.now() - this.#probedMs >= probeMs) break;
    }
    this.#probedMs = this.#clock.now();
    const hour = this.#hour();
    this.#hours.set(hour, (this.#hours.get(hour) ?? 0) + 1);
    this.#own();
    this.#shares.usage?.write(this.#hours);
  }

  /** Reads what an answer says of the organisation's quota. */
  note(header: string | null): void {
    const match = /api-usage=(\d+)\/(\d+)/.exec(header ?? "");
    if (match === null) return;
    this.#used = Number(match[1]);
    this.#limit = Number(match[2]);
  }

  /** An answer said that all requests are used up. */
  exhausted(): void {
    this.#limit ??= 1;
    this.#used = this.#limit;
  }

  status(): Record<string, string | number | null> {
    return {
      quota: this.#state,
      quotaOwn: this.#own(),
      quotaOwnLimit: this.#allowed() ?? null,
      quotaUsed: this.#used ?? null,
      quotaLimit: this.#limit ?? null,
    };
  }

  save(): JsonObject {
    this.#own();
    const hours = Object.fromEntries([...this.#hours].map(([hour, count]) => [String(hour), count]));
    return { hours, ...(this.#limit === undefined ? {} : { limit: this.#limit }) };
  }

  load(saved: Json | undefined): void {
    const { hours, limit } = isJsonObject(saved) ? saved : {};
    if (typeof limit === "number") this.#limit = limit;
    for (const [hour, count] of Object.entries(isJsonObject(hours) ? hours : {})) {
      if (typeof count === "number" && /^\d+$/.test(hour))
        this.#hours.set(Number(hour), Math.max(count, this.#hours.get(Number(hour)) ?? 0));
    }
  }

  #judge(): { state: QuotaState; why: string; waitMs: number } {
    const allowed = this.#allowed();
    if (allowed === undefined) return { state: "open", why: "", waitMs: 0 };
    if (this.#isUsedUp()) {
      const why = `${this.#used} of the organisation's ${this.#limit} daily API requests are used`;
      return { state: "stopped", why, waitMs: Math.max(0, this.#probedMs + probeMs - this.#clock.now()) };
    }
    const own = this.#own();
    const freeMs = this.#untilFree();
    if (own >= allowed) {
      const why = `${own} of the ${allowed} daily API requests are used that it may send, of the organisation's ${this.#limit}`;
      return { state: "stopped", why, waitMs: Math.min(freeMs, probeMs) };
    }
    if (own < allowed * slowFrom) return { state: "open", why: "", waitMs: 0 };
    const why = `the source has used ${own} of its ${allowed} daily API requests`;
    return { state: "slow", why, waitMs: Math.ceil(freeMs / (allowed - own)) };
  }

  #isUsedUp(): boolean {
    return (
      this.#used !== undefined && this.#limit !== undefined && this.#used >= this.#limit * (1 - reserved)
    );
  }

  /** How many requests this reader may have sent: what the others have sent is gone. */
  #allowed(): number | undefined {
    if (this.#limit === undefined) return undefined;
    const { source, backfills, usage } = this.#shares;
    const partOf = (share: number): number => Math.max(1, Math.floor((this.#limit ?? 0) * share));
    const others = usage?.others(this.#hour() - windowHours + 1) ?? { live: 0, backfills: 0 };
    const left = partOf(source) - others.live - others.backfills;
    if (backfills === undefined) return Math.max(0, left);
    return Math.max(0, Math.min(left, partOf(source * backfills) - others.backfills));
  }

  #hour(): number {
    return Math.floor(this.#clock.now() / hourMs);
  }

  /** Own requests of the last 24 hours and up to one more; forgets older ones. */
  #own(): number {
    const first = this.#hour() - windowHours + 1;
    let own = 0;
    for (const [hour, count] of this.#hours) {
      if (hour < first) this.#hours.delete(hour);
      else own += count;
    }
    return own;
  }

  /** Milliseconds until the oldest hour that counts no longer does. */
  #untilFree(): number {
    const oldest = this.#hours.size === 0 ? this.#hour() : Math.min(...this.#hours.keys());
    return Math.max(1, (oldest + windowHours) * hourMs - this.#clock.now());
  }
}
