import { createHash } from "node:crypto";
import { contractNames, poisonReasons } from "../shop/message.ts";
import type { ContractName, Message, PoisonReason } from "../shop/message.ts";

/**
 * What the clients say they sent, for comparison with what Weir says it has. Kept by the clients alone, from the
 * messages themselves: no number in it comes from Weir. Money in cents.
 */
export interface ClientLedger {
  /** Distinct acknowledged records, and the sum of a hash of their ids: equal sums mean equal sets of ids. */
  readonly contracts: Readonly<Record<ContractName, { readonly records: number; readonly ids: string }>>;
  readonly visits: number;
  readonly revenue: Readonly<
    Record<string, { readonly orders: number; readonly units: number; readonly cents: number }>
  >;
  /** Units by `<sku> <warehouse>`. */
  readonly stock: Readonly<Record<string, number>>;
  /** Messages that no client ever got a reply for; 0 unless Weir was out of reach. */
  readonly unacknowledged: number;
  readonly wire: WireCounts;
}

/** Records by the requests that carried them: a record counts each time it crosses the wire. */
export interface WireCounts {
  /** Requests that Weir answered with 202, whether or not the client got the reply. */
  readonly requests: number;
  /** Of those, the ones whose reply was lost on the way. */
  readonly repliesLost: number;
  /** Records in them that can be loaded, or are duplicates of loaded ones. */
  readonly sound: number;
  readonly poison: Readonly<Record<PoisonReason, number>>;
  /** Records in requests that ended without any answer from Weir: it has all or none of each such request. */
  readonly unknown: number;
}

/** Keeps the ledger. A message counts once, when the first of its copies is acknowledged. */
export class Ledger {
  readonly #counted = new WeakSet<Message>();
  readonly #contracts = Object.fromEntries(
    contractNames.map((name) => [name, { records: 0, ids: 0n }]),
  ) as Record<ContractName, { records: number; ids: bigint }>;
  readonly #revenue: Record<string, { orders: number; units: number; cents: number }> = {};
  readonly #stock: Record<string, number> = {};
  #visits = 0;

  acknowledged(message: Message): void {
    const { id, means } = message;
    if ("poison" in means || this.#counted.has(message)) return;
    this.#counted.add(message);
    const contract = this.#contracts[means.contract];
    contract.records += 1;
    contract.ids += idNumber(id);
    const { opensVisit, order, stock } = means.books ?? {};
    if (opensVisit === true) this.#visits += 1;
    if (order !== undefined) {
      const revenue = (this.#revenue[order.currency] ??= { orders: 0, units: 0, cents: 0 });
      revenue.orders += 1;
      revenue.units += order.units;
      revenue.cents += order.cents;
    }
    if (stock !== undefined) {
      const place = `${stock.sku} ${stock.warehouse}`;
      this.#stock[place] = (this.#stock[place] ?? 0) + stock.quantity;
    }
  }

  close(unacknowledged: number, wire: WireCounts): ClientLedger {
    const contracts = Object.entries(this.#contracts).map(([name, { records, ids }]) => [
      name,
      { records, ids: ids.toString() },
    ]);
    return {
      contracts: Object.fromEntries(contracts) as ClientLedger["contracts"],
      visits: this.#visits,
      revenue: this.#revenue,
      stock: this.#stock,
      unacknowledged,
      wire,
    };
  }
}

/** The lower half of the id's MD5 as a number; SQL has the same as `md5_number_lower`. */
export function idNumber(id: string): bigint {
  return createHash("md5").update(id).digest().readBigUInt64LE(8);
}

/** Counts what crosses the wire. Which ids are poison is known from the messages. */
export class Wire {
  readonly #poisonIds = new Map<string, PoisonReason>();
  readonly #poison = Object.fromEntries(poisonReasons.map((reason) => [reason, 0])) as Record<
    PoisonReason,
    number
  >;
  #requests = 0;
  #repliesLost = 0;
  #sound = 0;
  #unknown = 0;

  /** Remembers a message before it is sent. */
  expect({ id, means }: Message): void {
    if ("poison" in means) this.#poisonIds.set(id, means.poison);
  }

  /** A request that carried the records with these ids was answered with 202. */
  accepted(ids: readonly string[], replyLost: boolean): void {
    this.#requests += 1;
    if (replyLost) this.#repliesLost += 1;
    for (const id of ids) {
      const poison = this.#poisonIds.get(id);
      if (poison === undefined) this.#sound += 1;
      else this.#poison[poison] += 1;
    }
  }

  unanswered(records: number): void {
    this.#unknown += records;
  }

  get records(): number {
    return Object.values(this.#poison).reduce((sum, count) => sum + count, this.#sound);
  }

  counts(): WireCounts {
    return {
      requests: this.#requests,
      repliesLost: this.#repliesLost,
      sound: this.#sound,
      poison: { ...this.#poison },
      unknown: this.#unknown,
    };
  }
}
