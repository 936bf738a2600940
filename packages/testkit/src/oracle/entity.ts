import type { Contract, JSONSchema } from "@weir/contract";
import { misfit, valueOf } from "./column-texts.ts";
import type { EntityValue } from "./column-texts.ts";
import { compareScalars, fieldAt, keyOf, valueAt } from "./fields.ts";
import type { Scalar } from "./fields.ts";
import type { CleanRecord } from "./outcome.ts";

/** What an entity is to hold; the compiler's declarations have this shape. */
export interface EntityDeclaration {
  readonly kind: "entity";
  /** `<source>.<stream>`, or contracts. */
  readonly from: string | readonly Contract[];
  readonly key: readonly string[];
  readonly columns: Readonly<Record<string, JSONSchema>>;
  readonly version?: string;
  readonly lattice: Readonly<Record<string, readonly string[]>>;
  readonly deleted?: { readonly field: string; readonly equals: string | number | boolean };
}

/** A thing at some point: its columns by name, and what has no column. */
export interface EntityRow {
  readonly columns: Readonly<Record<string, EntityValue>>;
  readonly extra: Readonly<Record<string, unknown>>;
  /** Sorted. */
  readonly misfit: readonly string[];
  readonly unknown: readonly string[];
  readonly version: Scalar;
}

export interface HistoryRow extends EntityRow {
  readonly op: string;
  readonly fromUs: bigint;
  readonly toUs: bigint | null;
}

/** One record, before it is seen in the light of others. */
interface Told {
  readonly key: string;
  readonly op: string;
  readonly atUs: bigint;
  readonly version: Scalar;
  readonly id: string;
  readonly columns: ReadonlyMap<string, EntityValue>;
  readonly extra: ReadonlyMap<string, unknown>;
  readonly misfit: ReadonlySet<string>;
  readonly unknown: readonly string[];
}

interface State {
  readonly columns: Map<string, EntityValue>;
  readonly extra: Map<string, unknown>;
  readonly misfit: Set<string>;
  readonly unknown: Set<string>;
}

/** The rows of an entity over a clean set: as things are now, and each state they have had. */
export function entityRows(
  entity: EntityDeclaration,
  clean: readonly CleanRecord[],
): { current: EntityRow[]; history: HistoryRow[] } {
  const told = clean
    .flatMap((record) => tellings(entity, record))
    .toSorted((a, b) => compareScalars(a.version, b.version) || compareScalars(a.id, b.id));
  const fences = told.filter(({ op }) => op === "truncate");
  const things = new Map<string, Told[]>();
  for (const one of told) {
    if (one.op !== "truncate") things.set(one.key, [...(things.get(one.key) ?? []), one]);
  }
  const current: EntityRow[] = [];
  const history: HistoryRow[] = [];
  for (const records of things.values()) {
    history.push(...historyOf(entity, records, fences));
    const live = records.filter((record) => fences.every((fence) => isAfter(record, fence)));
    const last = live.at(-1);
    const state = live.reduce<State | undefined>((before, record) => next(entity, before, record), undefined);
    if (last !== undefined && last.op !== "delete" && state !== undefined) current.push(rowOf(state, last));
  }
  return { current, history };
}

const isAfter = (record: Told, fence: Told): boolean => compareScalars(record.version, fence.version) > 0;

/** The state after a record; none after a delete. */
function next(entity: EntityDeclaration, before: State | undefined, record: Told): State | undefined {
  if (record.op === "delete") return undefined;
  const state: State = {
    columns: new Map(record.columns),
    extra: new Map(record.extra),
    misfit: new Set(record.misfit),
    unknown: new Set(),
  };
  for (const name of record.unknown) {
    const isColumn = record.columns.has(name);
    const wasKnown = isColumn
      ? before !== undefined && !before.unknown.has(name)
      : before !== undefined && before.extra.has(name);
    if (!wasKnown) {
      state.unknown.add(name);
      continue;
    }
    if (isColumn) state.columns.set(name, before?.columns.get(name) ?? null);
    if (before?.misfit.has(name) === true) state.misfit.add(name);
    if (before?.extra.has(name) === true) state.extra.set(name, before.extra.get(name));
  }
  for (const [name, ranks] of Object.entries(entity.lattice)) {
    const [old, now] = [before?.columns.get(name) ?? null, state.columns.get(name) ?? null];
    const wasKnown = before !== undefined && !before.unknown.has(name);
    if (wasKnown && rankOf(ranks, old) > rankOf(ranks, now)) state.columns.set(name, old);
  }
  return state;
}

/** Unlisted values are below all others, and NULL is below these. */
const rankOf = (ranks: readonly string[], value: EntityValue): number =>
  value === null ? -2 : ranks.indexOf(value as string);

const rowOf = (state: State, { version }: Told): EntityRow => ({
  columns: Object.fromEntries(state.columns),
  extra: Object.fromEntries(state.extra),
  misfit: [...state.misfit].toSorted(),
  unknown: [...state.unknown].toSorted(),
  version,
});

function historyOf(
  entity: EntityDeclaration,
  records: readonly Told[],
  fences: readonly Told[],
): HistoryRow[] {
  const rows: HistoryRow[] = [];
  let state: State | undefined;
  let nowUs: bigint | undefined;
  let passed = 0;
  const later = (us: bigint): bigint => (nowUs !== undefined && nowUs > us ? nowUs : us);
  const close = (toUs: bigint): void => {
    const row = rows.pop();
    if (row !== undefined) rows.push({ ...row, toUs: row.toUs ?? toUs });
  };
  const fencesUpTo = (record: Told | undefined): void => {
    for (; passed < fences.length; passed++) {
      const fence = fences[passed];
      if (fence === undefined || (record !== undefined && !isAfter(record, fence))) return;
      // Fences of one version are one, of the latest time.
      const same = fences.filter(({ version }) => version === fence.version).map(({ atUs }) => atUs);
      nowUs = same.reduce((latest, us) => (us > latest ? us : latest), later(fence.atUs));
      close(nowUs);
      state = undefined;
    }
  };
  for (const record of records) {
    fencesUpTo(record);
    nowUs = later(record.atUs);
    close(nowUs);
    const after = next(entity, state, record);
    // The end's own record says what it says.
    const shown = after ?? next(entity, undefined, { ...record, op: "told" });
    if (shown !== undefined) rows.push({ ...rowOf(shown, record), op: record.op, fromUs: nowUs, toUs: null });
    state = after;
  }
  fencesUpTo(undefined);
  return rows;
}

function tellings(entity: EntityDeclaration, record: CleanRecord): Told[] {
  return typeof entity.from === "string"
    ? changeTold(entity, entity.from, record)
    : fieldsTold(entity, entity.from, record);
}

interface ChangeValue {
  readonly op: string;
  readonly key: string;
  readonly version: string;
  readonly stream: string;
  readonly row: Readonly<Record<string, unknown>> | null;
  readonly unknown?: readonly string[];
}

function changeTold(entity: EntityDeclaration, from: string, record: CleanRecord): Told[] {
  const change = record.value as unknown as ChangeValue;
  if (`${record.contract.name}.${change.stream}` !== from || change.op === "schema") return [];
  const schemas = new Map<string, JSONSchema>(Object.entries(entity.columns));
  for (const name of entity.key) if (!schemas.has(name)) schemas.set(name, { type: "string" });
  const columns = new Map<string, EntityValue>();
  const misfits = new Set<string>();
  for (const [name, schema] of schemas) {
    const value = valueOf(schema, change.row?.[name]);
    if (value === misfit) misfits.add(name);
    columns.set(name, value === misfit ? null : value);
  }
  const extra = Object.entries(change.row ?? {}).filter(([name]) => !schemas.has(name) || misfits.has(name));
  const gone = saysGone(entity, columns);
  const op = change.op !== "truncate" && gone ? "delete" : change.op;
  const { key, version } = change;
  const unknown = op === "delete" ? [] : (change.unknown ?? []);
  const { timeUs, id } = record;
  return [{ key, op, atUs: timeUs, version, id, columns, extra: new Map(extra), misfit: misfits, unknown }];
}

function saysGone({ deleted, columns: schemas }: EntityDeclaration, columns: Told["columns"]): boolean {
  const value = deleted === undefined ? null : (columns.get(deleted.field) ?? null);
  const scale = deleted === undefined ? 0 : (schemas[deleted.field]?.decimal?.scale ?? 0);
  if (typeof value === "bigint") return Number(`${value}e-${scale}`) === deleted?.equals;
  return value !== null && value === deleted?.equals;
}

/** Records of a contract: fields of other contracts of the table are unknown. */
function fieldsTold(entity: EntityDeclaration, from: readonly Contract[], record: CleanRecord): Told[] {
  const { contract, value, timeUs } = record;
  if (!from.includes(contract)) return [];
  const names = new Set(from.flatMap(({ schema }) => Object.keys(schema.properties ?? {})));
  const own = contract.schema.properties ?? {};
  const columns = new Map<string, EntityValue>();
  for (const name of names) columns.set(name, valueAt(value, name, fieldAt(contract, name)));
  const key = entity.key.map((name) => valueAt(value, name, fieldAt(contract, name)));
  if (key.includes(null)) return [];
  const gone = saysGone(entity, columns);
  const extra = Object.entries(value).filter(([name]) => !(name in own) && name !== "type");
  const version = entity.version === undefined ? timeUs : (columns.get(entity.version) as Scalar);
  const id = from.length > 1 ? `${contract.name}\u001f${record.id}` : record.id;
  const unknown = gone ? [] : [...names].filter((name) => !(name in own));
  return [
    {
      key: keyOf(key),
      op: gone ? "delete" : "upsert",
      atUs: timeUs,
      version,
      id,
      columns,
      extra: new Map(extra),
      misfit: new Set(),
      unknown,
    },
  ];
}
