import type { Contract } from "@weir/contract";
import { exactSum } from "./exact-sum.ts";
import { compareScalars, fieldAt, keyOf, valueAt } from "./fields.ts";
import type { Field, Scalar } from "./fields.ts";
import type { Persons } from "./identity.ts";
import type { CleanRecord } from "./outcome.ts";

/** Part of a key: a field by its path, or the person by the ids in some fields. */
type KeyPart =
  | string
  | { readonly person: string; readonly fields: readonly string[]; readonly column: string };

/** What a table is to compute; the compiler's table declarations have this shape. */
export interface TableDeclaration {
  readonly kind: "sessions" | "rollup";
  readonly from: readonly Contract[];
  readonly by: readonly KeyPart[];
  readonly gapMs?: number;
  readonly windowMs?: number;
  readonly measures: Readonly<Record<string, { readonly measure: string; readonly field?: string }>>;
}

/** Rows of a table as the oracle has them: columns by name. */
export type OracleRow = Readonly<Record<string, Scalar>>;

interface Event {
  readonly timeUs: bigint;
  readonly contract: string;
  readonly id: string;
  readonly keys: readonly Scalar[];
  readonly record: CleanRecord;
}

/**
 * The rows of a table over a clean set: for each group its keys, its span or window, and its measures.
 *
 * @param persons of the identity tables that it names
 */
export function tableRows(
  table: TableDeclaration,
  clean: readonly CleanRecord[],
  persons: Readonly<Record<string, Persons>> = {},
): OracleRow[] {
  const keyAt = (record: CleanRecord, part: KeyPart): Scalar =>
    typeof part === "string"
      ? valueAt(record.value, part, fieldAt(record.contract, part))
      : (persons[part.person]?.of(record, part.fields) ?? null);
  const names = new Set(table.from.map(({ name }) => name));
  const events = clean
    .filter(({ contract }) => names.has(contract.name))
    .map((record) => ({
      timeUs: record.timeUs,
      contract: record.contract.name,
      id: record.id,
      keys: table.by.map((part) => keyAt(record, part)),
      record,
    }));
  return table.kind === "sessions" ? sessionRows(table, events) : rollupRows(table, events);
}

function sessionRows(table: TableDeclaration, events: readonly Event[]): OracleRow[] {
  const gapUs = BigInt(table.gapMs ?? 0) * 1000n;
  const keyed = events.filter(({ keys }) => keys.every((key) => key !== null));
  return groups(keyed, ({ keys }) => keyOf(keys)).flatMap((group) => {
    const runs: Event[][] = [];
    for (const event of group.toSorted((a, b) => compareScalars(a.timeUs, b.timeUs))) {
      const run = runs.at(-1);
      const before = run?.at(-1);
      // A silence of exactly the gap does not end a session.
      if (run !== undefined && before !== undefined && event.timeUs - before.timeUs <= gapUs) run.push(event);
      else runs.push([event]);
    }
    return runs.map((run) => ({
      ...keyColumns(table, run),
      session_start: run[0]?.timeUs ?? null,
      session_end: run.at(-1)?.timeUs ?? null,
      records: BigInt(run.length),
      ...measureColumns(table, run),
    }));
  });
}

function rollupRows(table: TableDeclaration, events: readonly Event[]): OracleRow[] {
  const windowUs = table.windowMs === undefined ? undefined : BigInt(table.windowMs) * 1000n;
  const windowOf = ({ timeUs }: Event): Scalar => (windowUs === undefined ? null : floorTo(timeUs, windowUs));
  return groups(events, (event) => keyOf([...event.keys, windowOf(event)])).map((group) => ({
    ...keyColumns(table, group),
    ...(windowUs === undefined || group[0] === undefined ? {} : { window_start: windowOf(group[0]) }),
    ...measureColumns(table, group),
  }));
}

/** The greatest multiple of `width` that is not above `value`. */
function floorTo(value: bigint, width: bigint): bigint {
  const quotient = value / width;
  return (quotient * width > value ? quotient - 1n : quotient) * width;
}

function groups(events: readonly Event[], of: (event: Event) => string): Event[][] {
  const found = new Map<string, Event[]>();
  for (const event of events) {
    const key = of(event);
    const group = found.get(key);
    if (group === undefined) found.set(key, [event]);
    else group.push(event);
  }
  return [...found.values()];
}

const keyColumns = (table: TableDeclaration, group: readonly Event[]): OracleRow =>
  Object.fromEntries(
    table.by.map((part, i) => [
      typeof part === "string" ? part.split(".").join("_") : part.column,
      group[0]?.keys[i] ?? null,
    ]),
  );

function measureColumns(table: TableDeclaration, group: readonly Event[]): OracleRow {
  return Object.fromEntries(
    Object.entries(table.measures).map(([name, { measure, field }]) => {
      if (field === undefined) return [name, BigInt(group.length)];
      const kind = table.from
        .map((contract) => fieldAt(contract, field))
        .find((found) => found !== undefined);
      return [name, measureOf(measure, field, kind, group)];
    }),
  );
}

function measureOf(measure: string, path: string, kind: Field | undefined, group: readonly Event[]): Scalar {
  const having = group
    .map((event) => ({
      event,
      value: valueAt(event.record.value, path, fieldAt(event.record.contract, path)),
    }))
    .filter(({ value }) => value !== null);
  const values = having.map(({ value }) => value);
  if (measure === "distinct") return BigInt(new Set(values.map((value) => keyOf([value]))).size);
  if (values.length === 0) return null;
  switch (measure) {
    case "sum":
      return total(values);
    case "avg":
      return mean(values, kind?.scale ?? 0);
    case "min":
      return values.reduce((a, b) => (compareScalars(b, a) < 0 ? b : a));
    case "max":
      return values.reduce((a, b) => (compareScalars(b, a) > 0 ? b : a));
    case "first":
    case "last": {
      const ordered = having.toSorted((a, b) => compareEvents(a.event, b.event));
      return (measure === "first" ? ordered[0] : ordered.at(-1))?.value ?? null;
    }
    default:
      throw new Error(`no such measure: ${measure}`);
  }
}

/** By event time; then by contract and id, both as texts. */
const compareEvents = (a: Event, b: Event): number =>
  compareScalars(a.timeUs, b.timeUs) || compareScalars(a.contract, b.contract) || compareScalars(a.id, b.id);

function total(values: readonly Scalar[]): Scalar {
  const doubles = values.filter((value) => typeof value === "number");
  if (doubles.length > 0) return exactSum(doubles);
  return values.reduce<bigint>((sum, value) => sum + (value as bigint), 0n);
}

/** The exact sum as the nearest double, divided by the number of values. */
function mean(values: readonly Scalar[], scale: number): number {
  const sum = total(values);
  // `Number` of a text rounds once, whatever its length.
  return Number(typeof sum === "bigint" ? `${sum}e-${scale}` : sum) / values.length;
}
