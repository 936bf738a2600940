/** The project of the order-free tests of entities: of streams and contracts, with each thing that an entity can have. */
import { compileProject, entity } from "@weir/compile";
import type { EntitySpec, Program } from "@weir/compile";
import { Type, changeContract, contract, date, decimal, nullable, timestamp } from "@weir/contract";
import { entityRows } from "@weir/testkit";
import type { EntityRow, EntityValue, HistoryRow, OracleRow, Scalar } from "@weir/testkit";
import type { OrderFreeProject } from "./compare.fixture.ts";

export const Changes = changeContract("db");
const common = { version: "1.0.0", owner: "ops", id: "id", time: "at" } as const;
const base = {
  id: Type.String(),
  at: timestamp(),
  seq: Type.Integer(),
  sku: Type.Optional(nullable(Type.String())),
};
export const Made = contract("made", {
  ...common,
  fields: Type.Object({ ...base, status: Type.String(), gone: Type.Optional(Type.Boolean()) }),
});
export const Moved = contract("moved", {
  ...common,
  fields: Type.Object({ ...base, place: Type.Optional(Type.String()), day: Type.Optional(date()) }),
});

export const sources = {
  db: { contracts: [Changes] },
  plant: { contracts: [Made, Moved] },
  depot: { contracts: [Moved] },
};

const columns = {
  id: Type.Integer(),
  status: Type.String(),
  total: decimal({ precision: 8, scale: 2 }),
  placed: timestamp(),
  paid: Type.Boolean(),
};
export const statuses = ["new", "paid", "sent"];

export const things: Readonly<Record<string, EntitySpec>> = {
  orders: entity({ from: "db.public.orders", key: "id", columns }),
  order_texts: entity({ from: "db.public.orders", key: "id" }),
  order_progress: entity({ from: "db.public.orders", key: "id", columns, lattice: { status: statuses } }),
  unpaid: entity({ from: "db.public.orders", key: "id", columns, deleted: { field: "paid", equals: true } }),
  customers: entity({ from: "db.public.customers", key: ["region", "id"], columns: { id: Type.Integer() } }),
  parts: entity({ from: Made, key: "sku", deleted: { field: "gone", equals: true } }),
  stock: entity({ from: [Made, Moved], key: "sku", version: "seq", lattice: { status: statuses } }),
};

/** What is compared of a view: its columns, and the others in a form that does not tell the order of names. */
function query(name: string, { key, columns: declared, from }: EntitySpec): string {
  const isHistory = name.endsWith("_history");
  const fields =
    typeof from === "string" ? [] : from.flatMap(({ schema }) => Object.keys(schema.properties ?? {}));
  const own = [...new Set([...key, ...Object.keys(declared), ...fields])].map((column) => `"${column}"`);
  const extra =
    "array_to_string(list_sort(list_transform(map_entries(_extra::MAP(VARCHAR, JSON)), " +
    "lambda e: e.key || '=' || coalesce(e.value::VARCHAR, 'null'))), ' ')";
  const list = (column: string): string => `array_to_string(list_sort(${column}), ' ')`;
  const more = isHistory ? ["_op", "valid_from", "valid_to"] : [];
  return `SELECT ${[...own, ...more].join(", ")}, coalesce(${extra}, '') AS _extra, coalesce(${list("_misfit")}, '') AS _misfit,
    coalesce(${list("_unknown")}, '') AS _unknown, _version FROM ${name}`;
}

const views = Object.keys(things).flatMap((name) => [name, `${name}_history`]);
const specOf = (view: string): EntitySpec => things[view.replace(/_history$/, "")] as EntitySpec;

export const thingsProject: OrderFreeProject = {
  sources,
  tables: Object.keys(things),
  program: (without?: string): Program => {
    const kept = Object.entries(things).filter(([name]) => name !== without);
    return compileProject({ name: "things", sources, tables: Object.fromEntries(kept) });
  },
  queries: Object.fromEntries(views.map((view) => [view, query(view, specOf(view))])),
  expected: (clean) =>
    Object.fromEntries(
      Object.entries(things).flatMap(([name, spec]) => {
        const { current, history } = entityRows(spec, clean);
        return [
          [name, current.map(shown)],
          [`${name}_history`, history.map((row) => ({ ...shown(row), ...interval(row) }))],
        ];
      }),
    ),
};

const interval = ({ op, fromUs, toUs }: HistoryRow): OracleRow => ({
  _op: op,
  valid_from: fromUs,
  valid_to: toUs,
});

function shown({ columns: values, extra, misfit, unknown, version }: EntityRow): OracleRow {
  const extras = Object.entries(extra).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return {
    ...Object.fromEntries(Object.entries(values).map(([name, value]) => [name, scalar(value)])),
    _extra: extras.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))).join(" "),
    _misfit: misfit.join(" "),
    _unknown: unknown.join(" "),
    _version: version,
  };
}

function scalar(value: EntityValue): Scalar {
  if (value !== null && typeof value === "object") throw new Error("a column that is no scalar");
  return value;
}
