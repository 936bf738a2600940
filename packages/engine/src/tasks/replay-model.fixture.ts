/** What must come of records, replays, undoings and erasures, in plain words: from the records alone. */
import { taken } from "./erasing-task.fixture.ts";
import type { ProjectName } from "./erasing-task.fixture.ts";

export const contracts = ["sold", "back"] as const;
export type ContractName = (typeof contracts)[number];

export interface Sale {
  readonly contract: ContractName;
  /** Digits. */
  readonly id: string;
  /** Seconds; two different records never have the same. */
  readonly second: number;
  readonly who: string;
  readonly amount: number;
  /** Hours after the start. */
  readonly received: number;
}
/** [from, to) in hours after the start. */
export type Interval = readonly [from: number, to: number];

export type Event =
  | { readonly kind: "load"; readonly project: ProjectName; readonly sales: readonly Sale[] }
  | { readonly kind: "replay"; readonly project: ProjectName; readonly interval: Interval }
  | { readonly kind: "erase"; readonly who: string };

interface Known extends Sale {
  isValid: boolean;
}

export const isTaken = (project: ProjectName, { amount }: Sale): boolean =>
  amount >= taken[project][0] && amount <= taken[project][1];

/** All that happened, in order; what was undone is taken out of it. */
export class Model {
  readonly events: Event[] = [];

  /** Takes a replay out of it. */
  undo(replay: Event): void {
    this.events.splice(this.events.indexOf(replay), 1);
  }

  /** What must be there of a contract's records: ids of one are nothing to the other. */
  records(contract: ContractName): unknown {
    return this.#told(contract).records();
  }

  /** What tables of a contract's records must say. */
  tables(contract: ContractName): unknown {
    return this.#told(contract).tables();
  }

  #told(contract: ContractName): Told {
    const told = new Told();
    for (const event of this.events) {
      if (event.kind === "load") {
        for (const sale of event.sales) if (sale.contract === contract) told.load(event.project, sale);
      } else if (event.kind === "replay") told.replay(event.project, event.interval);
      else told.erase(event.who);
    }
    return told;
  }
}

class Told {
  #received = 0;
  #known: Known[] = [];
  readonly #erased = new Set<string>();
  /** By id, the record that is loaded. */
  readonly #live = new Map<string, Known>();

  load(project: ProjectName, sale: Sale): void {
    this.#received++;
    if (this.#erased.has(sale.who)) return;
    const known = { ...sale, isValid: isTaken(project, sale) };
    this.#known.push(known);
    const live = this.#live.get(sale.id);
    if (known.isValid && (live === undefined || sale.second < live.second)) this.#live.set(sale.id, known);
  }

  replay(project: ProjectName, [from, to]: Interval): void {
    const judged = new Set(this.#known.filter(({ received }) => received >= from && received < to));
    for (const one of judged) one.isValid = isTaken(project, one);
    for (const id of new Set([...judged].map((one) => one.id))) {
      const own = this.#known.filter((one) => one.id === id && one.isValid);
      const live = this.#live.get(id);
      const now = own.filter((one) => judged.has(one));
      const hasVanished =
        live !== undefined && judged.has(live) && !now.some(({ second }) => second <= live.second);
      const outside = own.filter((one) =>
        judged.has(one) ? false : one === live || (hasVanished && isTaken(project, one)),
      );
      const winner = [...outside, ...now].reduce<Known | undefined>((low, one) => {
        if (low === undefined || one.second < low.second) return one;
        return one.second === low.second && one === live ? one : low;
      }, undefined);
      if (winner === undefined) this.#live.delete(id);
      else this.#live.set(id, winner);
    }
  }

  /** Ids of records that were loaded are free again; who was a duplicate of one does not come back. */
  erase(who: string): void {
    this.#erased.add(who);
    for (const [id, live] of this.#live) if (live.who === who) this.#live.delete(id);
    this.#known = this.#known.filter((one) => one.who !== who);
  }

  records(): unknown {
    const loaded = [...this.#live.values()];
    const failed = this.#known.filter(({ isValid }) => !isValid);
    return {
      rows: loaded.map(({ id, second, who, amount }) => `${id} ${second} ${who} ${amount}`).toSorted(),
      quarantine: failed.map(textOf).toSorted(),
      counts: [[this.#received, loaded.length, failed.length]],
    };
  }

  tables(): unknown {
    const loaded = [...this.#live.values()];
    const skus = [...new Set(loaded.map(skuOf))].toSorted();
    const of = (sku: string): Known[] => loaded.filter((one) => skuOf(one) === sku);
    return {
      totals: skus.map((sku) => [sku, of(sku).length, of(sku).reduce((sum, { amount }) => sum + amount, 0)]),
      last: skus.map((sku) => [sku, Math.max(...of(sku).map(({ second }) => second))]),
    };
  }
}

const skuOf = ({ second }: Sale): string => `k${second % 3}`;

/** 2026-01-01. */
export const epochSeconds = Date.UTC(2026, 0, 1) / 1000;

export const textOf = (sale: Sale): string =>
  JSON.stringify({
    id: sale.contract === "sold" ? sale.id : Number(sale.id),
    at: new Date((epochSeconds + sale.second) * 1000).toISOString(),
    who: sale.who,
    sku: skuOf(sale),
    amount: sale.amount,
  });
