import { TokenBucket } from "@weir/collect";
import { WeirError } from "@weir/contract";
import { isRole, localCaller } from "@weir/govern";
import type { Caller, Role } from "@weir/govern";

/** What each token of a role may ask of the API. */
export interface RoleLimits {
  /** Requests a second on average, and at once. Default 2,000; none for `admin`. */
  readonly perSecond?: number;
  /** SQL statements and traces that run at a time. Default 8, of the ten that run side by side; none for `admin`. */
  readonly queries?: number;
}

export type ApiLimitsByRole = Readonly<Partial<Record<Role, RoleLimits>>>;

const defaults: Required<RoleLimits> = { perSecond: 2_000, queries: 8 };
const unlimited: Required<RoleLimits> = { perSecond: Infinity, queries: Infinity };
/** To whoever has as many queries running as may be: how long one takes nobody knows. */
const queryWaitMs = 1_000;

/** A request that is too early; `waitMs` becomes Retry-After. */
export class TooSoon extends WeirError {
  readonly waitMs: number;

  constructor(message: string, waitMs: number) {
    super("rate_limited", message);
    this.waitMs = waitMs;
  }
}

interface Use {
  readonly limits: Required<RoleLimits>;
  readonly bucket: TokenBucket;
  queries: number;
}

/** @throws WeirError `project_invalid` */
export function checkApiLimits(byRole: ApiLimitsByRole = {}): void {
  for (const [role, limits] of Object.entries(byRole)) {
    const wrong = Object.entries(limits).find(
      ([name, value]) => !Object.hasOwn(defaults, name) || typeof value !== "number" || !(value > 0),
    );
    if (wrong === undefined && isRole(role)) continue;
    const what =
      wrong === undefined ? `There is no role ${role}.` : `${wrong[0]} is no limit, or not above 0.`;
    throw new WeirError("project_invalid", what, {
      where: `access.limits.${role}`,
      remedy: "A role may have perSecond and queries, numbers above 0.",
    });
  }
}

/** Keeps each token to its role's limits. The machine's own user has none. */
export class ApiLimits {
  readonly #byRole: ApiLimitsByRole;
  readonly #clock: () => number;
  readonly #uses = new Map<string, Use>();

  /** @param byRole beside the defaults */
  constructor(byRole: ApiLimitsByRole = {}, clock: () => number = () => performance.now()) {
    this.#byRole = byRole;
    this.#clock = clock;
  }

  /** Lets a request in. @throws TooSoon */
  request(caller: Caller): void {
    const use = this.#useOf(caller);
    const waitMs = use?.bucket.waitMs(1, this.#clock()) ?? 0;
    if (waitMs > 0) throw new TooSoon(`The token ${caller.name} may ask again in ${waitMs} ms.`, waitMs);
    use?.bucket.take(1);
  }

  /** Runs a query, if the caller has not as many running as it may. @throws TooSoon */
  async query<T>(caller: Caller, work: () => Promise<T>): Promise<T> {
    const use = this.#useOf(caller);
    if (use === undefined) return await work();
    if (use.queries >= use.limits.queries)
      throw new TooSoon(`The token ${caller.name} runs ${use.queries} queries already.`, queryWaitMs);
    use.queries++;
    try {
      return await work();
    } finally {
      use.queries--;
    }
  }

  #useOf(caller: Caller): Use | undefined {
    if (caller === localCaller) return undefined;
    const name = `${caller.role} ${caller.name}`;
    const known = this.#uses.get(name);
    if (known !== undefined) return known;
    const limits = { ...(caller.role === "admin" ? unlimited : defaults), ...this.#byRole[caller.role] };
    const use = { limits, bucket: new TokenBucket(limits.perSecond, this.#clock()), queries: 0 };
    this.#uses.set(name, use);
    return use;
  }
}
