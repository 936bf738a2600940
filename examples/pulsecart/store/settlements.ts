import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { money } from "../shop/catalogue.ts";
import type { Random } from "../shop/random.ts";
import type { StoreBooks } from "./messages.ts";

/** What the bank paid out, or took back for a refund: `cents` is then negative. */
export interface Settlement {
  readonly charge: string;
  readonly kind: "charge" | "refund";
  readonly orderId: string;
  readonly cents: number;
}

/** What an export writes where it does not know an amount. */
const unknownAmount = "#N/A";

/**
 * The bank's settlement files, as an hourly export writes them: CSV, a file beside that says that the first is whole, and in
 * each file one row that is broken.
 */
export class Settlements {
  readonly #directory: string;
  readonly #random: Random;
  #waiting: Settlement[] = [];
  #counts = { files: 0, lines: 0, bad: 0 };

  constructor(directory: string, random: Random) {
    this.#directory = directory;
    this.#random = random;
    mkdirSync(directory, { recursive: true });
  }

  get counts(): StoreBooks["settlements"] {
    return this.#counts;
  }

  add(settlement: Settlement): void {
    this.#waiting.push(settlement);
  }

  /** Drops what has been settled since the last file. */
  drop(): void {
    const settlements = this.#waiting;
    if (settlements.length === 0) return;
    this.#waiting = [];
    this.#counts.files += 1;
    const file = `settlement-${String(this.#counts.files).padStart(6, "0")}`;
    const rows = settlements.map((settlement, i) => row(`${file}/${i + 1}`, settlement));
    const [first] = settlements;
    if (first !== undefined) {
      rows.splice(this.#random.whole(0, rows.length), 0, row(`${file}/broken`, first, unknownAmount));
    }
    this.#counts.lines += settlements.length;
    this.#counts.bad += 1;
    const path = join(this.#directory, `${file}.csv`);
    writeFileSync(path, [header, ...rows].join(""));
    writeFileSync(`${path}.done`, "");
  }
}

const header = "Line,Settled at,Order,Charge,Kind,Amount (EUR),Fee (EUR)\r\n";

function row(line: string, { orderId, charge, kind, cents }: Settlement, amount = amountText(cents)): string {
  const fee = money(kind === "refund" ? 0 : 25 + Math.round(cents / 100));
  return `${[line, new Date().toISOString(), orderId, charge, kind, amount, fee].join(",")}\r\n`;
}

const amountText = (cents: number): string => (cents < 0 ? `-${money(-cents)}` : money(cents));
