import { relative } from "node:path";
import type { ClientLedger } from "../clients/ledger.ts";
import type { StoreBooks } from "../store/messages.ts";
import type { Comparison } from "./reconcile.ts";
import type { StoreOutcome } from "./store-part.ts";
import { columns, number } from "./text.ts";
import type { Paint } from "./text.ts";

/** What `weir verify --json` prints. */
export interface VerifyReport {
  readonly ok: boolean;
  readonly commit: number;
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[];
}

export interface Outcome {
  readonly elapsedMs: number;
  readonly ledger: ClientLedger;
  readonly verify: VerifyReport;
  readonly comparisons: readonly Comparison[];
  /** Undefined where there was no store, for the reason `noStore`. */
  readonly store: StoreOutcome | undefined;
  readonly noStore: string | undefined;
}

export const succeeded = ({ verify, comparisons, store }: Outcome): boolean =>
  verify.ok && [...comparisons, ...(store?.comparisons ?? [])].every(({ equal }) => equal);

export function summaryLines(outcome: Outcome, paint: Paint): string[] {
  const { elapsedMs, ledger, verify, comparisons, store, noStore } = outcome;
  const failed = verify.checks.filter(({ ok }) => !ok);
  const { requests, repliesLost } = ledger.wire;
  const seconds = (elapsedMs / 1000).toFixed(1);
  return [
    "",
    paint.bold("What the clients say they sent, and what Weir has"),
    "",
    ...comparisonLines("clients", comparisons, paint),
    "",
    paint.bold("What the store's own database says, and what Weir has"),
    "",
    ...(store === undefined
      ? [paint.yellow(`skipped: the store ${noStore ?? "did not run"}`)]
      : comparisonLines("store", store.comparisons, paint)),
    "",
    `weir verify: ${verify.ok ? paint.green("ok") : paint.red("FAILED")}, ${verify.checks.length} checks at commit ${number(verify.commit)}`,
    ...failed.map(({ name, detail }) => paint.red(`  ${name}: ${detail}`)),
    `${seconds} s, ${number(requests)} requests accepted; the network lost the replies of ${number(repliesLost)}, which were sent again`,
    ...(store === undefined ? [] : [bookLine(store.books)]),
    "",
    succeeded(outcome)
      ? paint.green(paint.bold("Everything adds up: to the record, the cent and the unit."))
      : paint.red(paint.bold("It does not add up.")),
  ];
}

function comparisonLines(whose: string, comparisons: readonly Comparison[], paint: Paint): string[] {
  const mark = (ok: boolean): string => (ok ? paint.green("ok") : paint.red("DIFFERS"));
  return columns(
    ["", whose, "Weir", ""],
    comparisons.map(({ what, theirs, weir, equal }) => [what, theirs, weir, mark(equal)]),
    paint,
    [whose, "Weir"],
  );
}

function bookLine({ transactions, webhooks, settlements }: StoreBooks): string {
  const { events, twice, never } = webhooks;
  return `${number(transactions)} transactions of the store; ${number(events)} Stripe events, ${number(twice)} called twice and ${number(never)} never; ${number(settlements.files)} files of the bank`;
}

/** Where to look next. */
export function nextLines(options: {
  readonly kept: boolean;
  readonly dataDir: string;
  readonly project: string;
}): string[] {
  const data = shown(options.dataDir);
  const project = shown(options.project);
  if (!options.kept) {
    return [
      "",
      "The data is removed. npm run demo -- --keep keeps it to look at; the project is",
      `${project}/weir.config.ts, and docs/guide/getting-started.md makes one of your own.`,
    ];
  }
  const weir = (command: string): string => `  npx weir ${command} -p ${project} -d ${data}`;
  return [
    "",
    `The data is in ${data}. Some things to ask:`,
    "",
    `${weir("query")} "SELECT * FROM visits ORDER BY records DESC LIMIT 5"`,
    `${weir("query")} "SELECT window_start, currency, orders, revenue FROM revenue_per_minute ORDER BY ALL LIMIT 9"`,
    `${weir("query")} "SELECT * FROM order_facts ORDER BY order_id DESC LIMIT 5"`,
    `${weir("query")} "SELECT sku, price, valid_from, valid_to FROM products_history WHERE sku = 'BAG-100'"`,
    `${weir("query")} "SELECT reason, count(*) FROM quarantine GROUP BY ALL"`,
    `${weir("quarantine list")} --limit 5`,
    weir("plan"),
  ];
}

export function shown(path: string): string {
  const near = relative(process.cwd(), path);
  return near === "" || near.startsWith("..") ? path : near;
}
