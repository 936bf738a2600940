import { changeText } from "@weir/contract";
import type { Change } from "@weir/contract";
import type { Chances } from "./seeded.ts";

/** What should become of a record. */
export type Fate = "loaded" | "quarantined";

/** One record as a client has it: sending it again sends the same bytes. */
export interface WorkRecord {
  /** Its number in this workload; it is in the record, readable or not. */
  readonly mark: number;
  readonly fate: Fate;
  /** What it is sent under, with a version where the client names one. */
  readonly contract: string;
  readonly text: string;
  /** Why the text is no record; undefined if it is one. */
  readonly error?: string;
  /** Of a record to be loaded. */
  readonly value?: Value;
}

export type Value = View | Order | RowChange;

export interface View {
  readonly kind: "view";
  readonly id: string;
  readonly atUs: number;
  readonly visitor: string | undefined;
  readonly account: string | undefined;
  readonly sku: string;
  readonly cents: number;
}

export interface Order {
  readonly kind: "order";
  readonly id: string;
  readonly atUs: number;
  readonly sku: string;
  readonly units: number;
}

/** A change of an article's row. */
export interface RowChange {
  readonly kind: "change";
  readonly id: string;
  readonly atUs: number;
  readonly change: Omit<Change, "id" | "at">;
}

const startUs = Date.UTC(2026, 10, 1) * 1000;
const minuteUs = 60_000_000;
const dayUs = 1440 * minuteUs;
/** Records that duplicates and conflicts refer to: the last so many. */
const rememberedRecords = 400;

/**
 * Makes the records of a campaign: mostly good ones, some late by minutes, days or months, some sent twice, some
 * with the id of another, some that no contract takes or nobody can read. Event times are unique to the microsecond,
 * so of two records with one id the earlier is known.
 */
export class Workload {
  readonly #chances: Chances;
  readonly #recent: WorkRecord[] = [];
  #marks = 0;
  #nowUs = startUs;

  constructor(chances: Chances) {
    this.#chances = chances;
  }

  /** Between one and `most` records; a record may be in it twice. */
  batch(most: number): WorkRecord[] {
    this.#nowUs += this.#chances.below(5) * minuteUs;
    const records: WorkRecord[] = [];
    for (let left = 1 + this.#chances.below(most); left > 0; left--) records.push(this.#record());
    return records;
  }

  #record(): WorkRecord {
    const chance = this.#chances.below(100);
    const again = chance < 16 && this.#recent.length > 0 ? this.#chances.pick(this.#recent) : undefined;
    if (again !== undefined && chance < 10) return again;
    const record = this.#make(chance, again);
    this.#recent.push(record);
    if (this.#recent.length > rememberedRecords) this.#recent.shift();
    return record;
  }

  #make(chance: number, rival: WorkRecord | undefined): WorkRecord {
    const mark = ++this.#marks;
    if (rival?.value !== undefined) return this.#good(mark, rival.value);
    if (chance < 19) return this.#violation(mark);
    if (chance < 21)
      return { mark, fate: "quarantined", contract: "", text: `{"mark":${mark}`, error: "invalid_json" };
    if (chance < 23) return this.#unroutable(mark, chance === 21 ? "nobody_knows" : "product_viewed@9.0.0");
    return this.#good(mark, undefined);
  }

  /** @param rival whose id it takes */
  #good(mark: number, rival: Value | undefined): WorkRecord {
    const atUs = this.#eventTime(mark);
    const chance = this.#chances.below(100);
    const kind = rival?.kind ?? (chance < 60 ? "view" : chance < 80 ? "order" : "change");
    if (kind === "change") return this.#rowChange(mark, atUs, rival?.id ?? `c${mark}`);
    const sku = `s${this.#chances.below(12)}`;
    if (kind === "order") {
      const order: Order = {
        kind,
        id: rival?.id ?? `o${mark}`,
        atUs,
        sku,
        units: 1 + this.#chances.below(9),
      };
      const { id, units } = order;
      const body = { type: "order_placed", order_id: id, placed_at: timeText(atUs), sku, units, mark };
      return { mark, fate: "loaded", contract: "order_placed", text: JSON.stringify(body), value: order };
    }
    // New visitors come all the time, and four of them at a time turn out to have one account.
    const n = Math.floor(mark / 50) + this.#chances.below(40);
    const visitor = this.#chances.in100(90) ? `v${n}` : undefined;
    const account = this.#chances.in100(15) ? `a${n % 7}-${Math.floor(n / 28)}` : undefined;
    const cents = this.#chances.below(100_000);
    const view: View = { kind, id: rival?.id ?? `e${mark}`, atUs, visitor, account, sku, cents };
    const body = {
      type: "product_viewed",
      event_id: view.id,
      ...(visitor === undefined ? {} : { visitor }),
      ...(account === undefined ? {} : { account }),
      // With an offset only Ajv can judge it, so that path is under fire too.
      at: this.#chances.in100(5) ? offsetTimeText(atUs) : timeText(atUs),
      sku,
      price: decimalText(cents),
      mark,
      ...(this.#chances.in100(5) ? { campaign: "spring" } : {}),
    };
    const contract = this.#chances.in100(20) ? "product_viewed@1.0.3" : "product_viewed";
    return { mark, fate: "loaded", contract, text: JSON.stringify(body), value: view };
  }

  /** Of a few rows, some late: then the version is older than what came before. The mark is in the row. */
  #rowChange(mark: number, atUs: number, id: string): WorkRecord {
    const chance = this.#chances.below(100);
    const late = chance < 70 ? 0 : this.#chances.below(chance < 95 ? 20 : 400);
    const version = String(Math.max(0, mark - late)).padStart(12, "0");
    const key = String(this.#chances.below(25));
    const kind = this.#chances.below(100);
    const op = kind < 2 ? "truncate" : kind < 10 ? "delete" : kind < 40 ? "insert" : "update";
    const values = {
      name: `article ${this.#chances.below(5)}`,
      price: this.#chances.in100(5) ? "NaN" : decimalText(this.#chances.below(10_000)),
      state: this.#chances.pick(["draft", "shown", "shown", "sold", "lost"]),
      more: "text",
    };
    const unknown = Object.keys(values).filter(() => op === "update" && this.#chances.in100(15));
    const told = Object.entries(values).filter(([name]) => op !== "delete" && !unknown.includes(name));
    const change: RowChange["change"] = {
      stream: "articles",
      op,
      key: op === "truncate" ? "[]" : JSON.stringify([key]),
      version: op === "truncate" ? String(Math.max(0, mark - 200)).padStart(12, "0") : version,
      row: op === "truncate" ? { mark } : { id: key, ...Object.fromEntries(told), mark },
      ...(unknown.length > 0 ? { unknown } : {}),
    };
    const body = JSON.parse(changeText({ id, at: timeText(atUs), ...change }).text) as object;
    const value: RowChange = { kind: "change", id, atUs, change };
    return { mark, fate: "loaded", contract: "web", text: JSON.stringify({ type: "web", ...body }), value };
  }

  #violation(mark: number): WorkRecord {
    const body = {
      type: "order_placed",
      order_id: `bad${mark}`,
      placed_at: "yesterday",
      sku: "s1",
      units: 0,
      mark,
    };
    return { mark, fate: "quarantined", contract: "order_placed", text: JSON.stringify(body) };
  }

  #unroutable(mark: number, contract: string): WorkRecord {
    return {
      mark,
      fate: "quarantined",
      contract,
      text: JSON.stringify({ type: contract, event_id: `u${mark}`, mark }),
    };
  }

  #eventTime(mark: number): number {
    const chance = this.#chances.below(100);
    const lateUs =
      chance < 80
        ? this.#chances.below(3) * minuteUs
        : chance < 96
          ? this.#chances.below(3000) * minuteUs
          : this.#chances.below(90) * dayUs;
    // Whole seconds, then the mark: no two records have one time.
    return this.#nowUs - lateUs + this.#chances.below(60) * 1_000_000 + (mark % 1_000_000);
  }
}

/** RFC 3339 in UTC with six digits of fraction. */
export function timeText(us: number): string {
  const whole = Math.floor(us / 1_000_000);
  return `${new Date(whole * 1000).toISOString().slice(0, 19)}.${String(us - whole * 1_000_000).padStart(6, "0")}Z`;
}

const offsetTimeText = (us: number): string => `${timeText(us + 2 * 60 * minuteUs).slice(0, -1)}+02:00`;

/** Hundredths as a plain decimal number. */
export const decimalText = (cents: number): string =>
  `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, "0")}`;
