import type { ClientProgress } from "./client-process.ts";
import { balance, countsByContract } from "./counts.ts";
import { clock, columns, fit, money, number, printable, width } from "./text.ts";
import type { Paint } from "./text.ts";
import type { Cell } from "./api.ts";
import { viewRows } from "./view.ts";
import type { View } from "./view.ts";

export interface Frame {
  readonly url: string;
  readonly elapsedMs: number;
  readonly forMs: number | undefined;
  readonly clients: ClientProgress;
  /** Of the store so far; undefined where there is none. */
  readonly transactions: number | undefined;
  /** Records that Weir acknowledged a second, of late. */
  readonly perSecond: number;
  /** How long ago the oldest record that is not in the tables yet was acknowledged. */
  readonly lagMs: number;
  readonly view: View | undefined;
  /** Why the view is old, if it is. */
  readonly problem: string | undefined;
  readonly dataDir: string;
}

/** From this width on sections stand side by side. */
const wide = 128;
const between = "    ";

/** The screen as lines of at most `size.columns`, at most `size.rows` of them. */
export function drawFrame(
  frame: Frame,
  size: { readonly columns: number; readonly rows: number },
  paint: Paint,
): string[] {
  const head = header(frame, paint);
  const foot = footer(frame, paint);
  const { view } = frame;
  if (view === undefined) {
    return [...head, "", paint.dim("waiting for the first commit ...")].map((line) =>
      fit(line, size.columns),
    );
  }
  const room = size.rows - head.length - foot.length;
  const body = fill(view, paint, size.columns >= wide ? sideBySide : stacked, room);
  const lines = [...head, ...body.slice(0, Math.max(0, room)), ...foot];
  return lines.map((line) => fit(line, size.columns).trimEnd());
}

type Sections = readonly (readonly string[])[];

/** A part of the screen; `most` rows of it are worth showing. */
interface Section {
  readonly most: number;
  draw(view: View, paint: Paint, limit: number): string[];
}

/** Where there is no room for all, the first are shown. */
const sections: readonly Section[] = [
  { most: 12, draw: countSection },
  { most: 4, draw: captureSection },
  { most: viewRows, draw: orderSection },
  { most: viewRows, draw: revenueSection },
  { most: viewRows, draw: visitSection },
  { most: viewRows, draw: quarantineSection },
  { most: viewRows, draw: stockSection },
];

/** As many rows of every section as fit, given out in turn; none of a section is not even its title. */
function fill(view: View, paint: Paint, place: (drawn: Sections) => string[], room: number): string[] {
  const rows = sections.map(() => 0);
  const draw = (): string[] =>
    place(
      sections.flatMap((section, i) => {
        const limit = rows[i] ?? 0;
        return limit === 0 ? [] : [section.draw(view, paint, limit)];
      }),
    );
  let growing = [...sections.keys()];
  while (growing.length > 0) {
    growing = growing.filter((i) => {
      const now = rows[i] ?? 0;
      rows[i] = now + 1;
      const fits = now < (sections[i]?.most ?? 0) && draw().length <= room;
      if (!fits) rows[i] = now;
      return fits;
    });
  }
  return draw();
}

function header(frame: Frame, paint: Paint): string[] {
  const { elapsedMs, forMs, clients, view } = frame;
  const of = forMs === undefined ? "" : ` of ${clock(forMs)}`;
  const shopClock = new Date(clients.shopTime).toISOString().slice(11, 16);
  const lines = [
    `${paint.bold("PulseCart on Weir")}  ${paint.cyan(frame.url)}  ${clock(elapsedMs)}${of}`,
    paint.dim(
      `shop clock ${shopClock}, one second is one minute · Segment, RudderStack and CloudEvents SDKs and plain NDJSON over a network that loses replies`,
    ),
    "",
  ];
  if (view === undefined) return lines;
  const { received, loaded, duplicate, quarantined, inFlight } = balance(view.status, clients.acknowledged);
  const sum = [
    `${paint.green(number(loaded))} loaded`,
    `${number(duplicate)} duplicate`,
    `${paint.yellow(number(quarantined))} quarantined`,
    `${number(inFlight)} in flight`,
  ].join(" + ");
  const { commit } = view.status;
  const store = frame.transactions === undefined ? "" : `   store ${number(frame.transactions)} transactions`;
  lines.push(
    `${paint.bold(number(received))} received = ${sum}`,
    `${paint.bold(number(Math.round(frame.perSecond)))} records/s   lag ${(frame.lagMs / 1000).toFixed(1)} s   commit ${number(commit)}${store}` +
      (frame.problem === undefined ? "" : `   ${paint.red(frame.problem)}`),
  );
  return lines;
}

function footer({ dataDir }: Frame, paint: Paint): string[] {
  return [
    "",
    `${paint.dim("In another terminal:")} npx weir query -d ${dataDir} "FROM revenue_per_minute LIMIT 5"`,
    paint.dim("Ctrl-C stops the clients, loads what is left and compares."),
  ];
}

function countSection({ status }: View, paint: Paint, limit: number): string[] {
  const rows = countsByContract(status)
    .slice(0, limit)
    .map(({ contract, received, loaded, duplicate, quarantined }) => [
      contract,
      number(received),
      number(loaded),
      number(duplicate),
      quarantined === 0 ? "0" : paint.yellow(number(quarantined)),
    ]);
  const names = ["received", "loaded", "duplicate", "quarantined"];
  return columns([title("CONTRACTS"), ...names], rows, paint, names);
}

/** What the captures say of their sources: how far they have read, and how far they are behind. */
function captureSection({ status }: View, paint: Paint, limit: number): string[] {
  const captures = (status.instance?.processes ?? []).filter(({ role }) => role === "capture");
  const rows = captures.slice(0, limit).map(({ name, state, status: facts = {}, lastError }) => {
    const trouble = lastError === undefined ? state : `${state}, ${lastError.code}`;
    const source = name.replace(/^capture-/, "");
    return [source, state === "ready" ? captureText(facts) : paint.yellow(printable(trouble))];
  });
  return columns(["CAPTURES", ""], rows, paint);
}

/** In few words; the names of the facts are the connectors'. */
function captureText(facts: Readonly<Record<string, Cell>>): string {
  const count = (name: string): string => number(Number(facts[name] ?? 0));
  if ("rowsRead" in facts) {
    const left = Number(facts["tablesToRead"] ?? 0);
    const reading = left > 0 ? `, ${left} of ${count("tables")} tables to read` : "";
    return `${count("rowsRead")} rows, ${count("changes")} changes${reading}; ${count("lagBytes")} B behind`;
  }
  if ("events" in facts) {
    return `${count("listed")} listed, ${count("events")} events; ${count("lagSeconds")} s behind`;
  }
  if ("filesRead" in facts) return `${count("filesRead")} files, ${count("rows")} rows`;
  return "";
}

function orderSection({ orders }: View, paint: Paint, limit: number): string[] {
  const rows = orders
    .slice(0, limit)
    .map(([order, status, tier, units, ...amounts]) => [
      textOf(order),
      textOf(status),
      textOf(tier),
      textOf(units),
      ...amounts.map((amount) => money(textOf(amount ?? "0.00"))),
    ]);
  const names = ["units", "total", "charged", "settled"];
  return columns([title("NEWEST ORDERS"), "status", "tier", ...names], rows, paint, names);
}

/** Titles are as wide as the widest contract, so that the columns stand still while names come and go. */
const title = (text: string): string => text.padEnd(20);

const textOf = (cell: Cell | undefined): string => printable(String(cell ?? ""));

function quarantineSection({ quarantine }: View, paint: Paint, limit: number): string[] {
  const rows = quarantine.slice(0, limit).map(([reason, count, contract, detail, text]) => {
    const body = reason === "invalid_json" ? Buffer.from(textOf(text), "base64").toString("utf8") : "";
    return [
      paint.yellow(textOf(reason)),
      textOf(count),
      `${textOf(contract)}${detail === "" ? "" : `: ${textOf(detail)}`} ${paint.dim(printable(body))}`.trimEnd(),
    ];
  });
  return columns([title("QUARANTINE"), "records", "the newest"], rows, paint, ["records"]);
}

function visitSection({ visits }: View, paint: Paint, limit: number): string[] {
  const rows = visits
    .slice(0, limit)
    .map(([visitor, channel, start, end, records, products, cart]) => [
      textOf(visitor),
      textOf(channel),
      timeOf(start),
      minutesBetween(start, end),
      textOf(records),
      textOf(products),
      cart === null ? "" : money(textOf(cart)),
    ]);
  const names = ["min", "events", "products", "cart"];
  return columns([title("NEWEST VISITS"), "channel", "from", ...names], rows, paint, names);
}

function revenueSection({ revenue }: View, paint: Paint, limit: number): string[] {
  const most = Math.max(1, ...revenue.map(([, orders]) => Number(orders)));
  const rows = revenue
    .slice(0, limit)
    .map(([window, orders, ...amounts]) => [
      timeOf(window),
      textOf(orders),
      ...amounts.map((amount) => money(textOf(amount ?? "0.00"))),
      paint.green("▇".repeat(Math.max(1, Math.round((Number(orders) / most) * 6)))),
    ]);
  const names = ["orders", "EUR", "GBP", "USD"];
  return columns(["REVENUE PER MINUTE", ...names, ""], rows, paint, names);
}

function stockSection({ stock }: View, paint: Paint, limit: number): string[] {
  const rows = stock
    .slice(0, limit)
    .map(([sku, warehouse, onHand, moves]) => [
      textOf(sku),
      textOf(warehouse),
      Number(onHand) <= 0 ? paint.red(textOf(onHand)) : textOf(onHand),
      textOf(moves),
    ]);
  const names = ["on hand", "moves"];
  return columns(["LOWEST STOCK", "warehouse", ...names], rows, paint, names);
}

/** `2026-01-15 08:14:00` as 08:14. */
const timeOf = (cell: Cell | undefined): string => textOf(cell).slice(11, 16);

function minutesBetween(start: Cell | undefined, end: Cell | undefined): string {
  const time = (cell: Cell | undefined): number => Date.parse(`${textOf(cell).replace(" ", "T")}Z`);
  return ((time(end) - time(start)) / 60_000).toFixed(1);
}

function stacked(sections: Sections): string[] {
  return sections.flatMap((section) => ["", ...section]);
}

/** Two sections a row, the left ones as wide as they need; one that is left over has a row of its own. */
function sideBySide(sections: Sections): string[] {
  const pairs: (readonly string[])[][] = [];
  for (let i = 0; i < sections.length; i += 2) pairs.push(sections.slice(i, i + 2));
  const full = pairs.filter(([, right]) => right !== undefined);
  const leftWidth = Math.max(0, ...full.flatMap(([left = []]) => left.map(width)));
  return pairs.flatMap(([left = [], right]) => {
    if (right === undefined) return ["", ...left];
    const rows = Math.max(left.length, right.length);
    const line = (row: number): string => `${fit(left[row] ?? "", leftWidth)}${between}${right[row] ?? ""}`;
    return ["", ...Array.from({ length: rows }, (_, row) => line(row))];
  });
}
