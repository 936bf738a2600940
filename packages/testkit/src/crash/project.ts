import {
  compileProject,
  count,
  derive,
  distinct,
  enrich,
  entity,
  identity,
  person,
  rollup,
  sessions,
  sum,
} from "@weir/compile";
import type { Program, TableSpec } from "@weir/compile";
import { Type, changeContract, contract, decimal, timestamp } from "@weir/contract";
import type { Contract } from "@weir/contract";

/** @param maximum of the price, if there is one */
const viewed = (maximum?: number): Contract =>
  contract("product_viewed", {
    version: "1.2.0",
    owner: "growth",
    id: "event_id",
    key: "visitor",
    time: "at",
    lateness: "24h",
    fields: Type.Object({
      event_id: Type.String(),
      visitor: Type.Optional(Type.String()),
      account: Type.Optional(Type.String()),
      at: timestamp(),
      sku: Type.String(),
      price: decimal({ precision: 12, scale: 2, minimum: 0, ...(maximum === undefined ? {} : { maximum }) }),
      mark: Type.Integer(),
    }),
  });

/** The project that crash campaigns run. `mark` is the number of the record, by which the ledger knows it again. */
export const productViewed = viewed();
const cheapViewed = viewed(500);

export const orderPlaced = contract("order_placed", {
  version: "1.0.0",
  owner: "sales",
  id: "order_id",
  time: "placed_at",
  lateness: "24h",
  fields: Type.Object({
    order_id: Type.String(),
    placed_at: timestamp(),
    sku: Type.String(),
    units: Type.Integer({ minimum: 1 }),
    mark: Type.Integer(),
  }),
});

/** Changes of rows, as if the source captured a database. */
export const rowChanges = changeContract("web");

export const crashContracts = [productViewed, orderPlaced, rowChanges] as const;

/**
 * `reference` is what the ledger checks. `other` differs in one table and has one more, so that a start rebuilds. `narrow` takes
 * no orders, and of views only those of cheap articles: it quarantines much that `reference` takes.
 */
export type Variant = "reference" | "other" | "narrow";

export const sessionGapMs = 30 * 60_000;

/** Articles by the changes of their rows, and for each article its last order. */
export const crashEntities = {
  articles: entity({
    from: "web.articles",
    key: "id",
    columns: {
      id: Type.Integer(),
      name: Type.String(),
      price: decimal({ precision: 12, scale: 2 }),
      state: Type.String(),
    },
    lattice: { state: ["draft", "shown", "sold"] },
  }),
  last_orders: entity({ from: orderPlaced, key: "sku" }),
};

/** Visitors that share an account are of one person. */
export const crashPeople = identity({ ids: [[productViewed, ["visitor", "account"]]] });

export function crashTables(variant: Variant): Record<string, TableSpec> {
  const views = rollup({
    from: productViewed,
    window: "1m",
    by: "sku",
    measures: { views: count(), value: sum("price") },
  });
  const stock = rollup({ from: orderPlaced, by: "sku", measures: { orders: count(), units: sum("units") } });
  const visits = sessions({
    from: productViewed,
    by: "visitor",
    gap: variant === "reference" ? sessionGapMs : 2 * sessionGapMs,
    measures: { views: count(), value: sum("price"), skus: distinct("sku") },
  });
  const hourly = rollup({ from: orderPlaced, window: "1h", measures: { units: sum("units") } });
  const byPerson = person("people", ["visitor", "account"]);
  const persons = rollup({
    from: productViewed,
    by: byPerson,
    measures: { views: count(), value: sum("price"), skus: distinct("sku") },
  });
  const journeys = sessions({
    from: productViewed,
    by: byPerson,
    gap: sessionGapMs,
    measures: { value: sum("price") },
  });
  const people: TableSpec = variant === "reference" ? crashPeople : { ...crashPeople, warnAbove: 3 };
  return {
    visits,
    views,
    stock,
    people,
    persons,
    journeys,
    ...crashEntities,
    ...joinedTables(variant),
    ...(variant === "other" ? { hourly } : {}),
  };
}

/** Views with the last order of their article, as it is and as it was, and articles with all that there is of them. */
function joinedTables(variant: Variant): Record<string, TableSpec> {
  const last = { from: productViewed, to: "last_orders", on: { sku: "sku" }, take: "order_id" };
  const demand = derive({
    from: { s: "stock", v: "views_now", o: "last_orders" },
    key: "sku",
    keys: { s: "sku", v: "sku", o: "sku" },
    sql: `SELECT s.sku, s.units, o.order_id AS last_order, count(v.event_id) AS views
      FROM s LEFT JOIN v ON v.sku = s.sku LEFT JOIN o ON o.sku = s.sku GROUP BY ALL`,
  });
  const viewsThen = enrich({ ...last, asOf: true, ...(variant === "reference" ? {} : { keep: "price" }) });
  return { views_now: enrich(last), views_then: viewsThen, demand };
}

/** @param sources each may bring every contract */
export function crashProgram(variant: Variant = "reference", sources: readonly string[] = ["web"]): Program {
  if (variant === "narrow") {
    const { contracts, tables } = narrowProject();
    return compileProject({
      name: "crash",
      sources: Object.fromEntries(sources.map((name) => [name, { contracts }])),
      tables,
    });
  }
  return compileProject({
    name: "crash",
    sources: Object.fromEntries(sources.map((source) => [source, { contracts: [...crashContracts] }])),
    tables: crashTables(variant),
  });
}

function narrowProject(): { contracts: Contract[]; tables: Record<string, TableSpec> } {
  const views = rollup({
    from: cheapViewed,
    window: "1m",
    by: "sku",
    measures: { views: count(), value: sum("price") },
  });
  return { contracts: [cheapViewed, rowChanges], tables: { views, articles: crashEntities.articles } };
}

/** The text of a project file with the reference project, for the real command. */
export function crashProjectFile({ engine }: { readonly engine: object }): string {
  const here = new URL(import.meta.url).pathname;
  return `
import { crashContracts, crashTables } from ${JSON.stringify(here)};
import { defineProject, http } from "weir";

export default defineProject({
  name: "crash",
  sources: { web: http({ contracts: [...crashContracts] }) },
  tables: crashTables("reference"),
  engine: ${JSON.stringify(engine)},
});
`;
}
