import { Persons } from "../oracle/identity.ts";
import type { CleanRecord } from "../oracle/outcome.ts";
import { entityRows } from "../oracle/entity.ts";
import type { EntityRow, HistoryRow } from "../oracle/entity.ts";
import {
  crashEntities,
  crashPeople,
  orderPlaced,
  productViewed,
  rowChanges,
  sessionGapMs,
} from "./project.ts";
import { decimalText } from "./workload.ts";
import type { Order, RowChange, Value, View } from "./workload.ts";

/**
 * The tables of the reference project, computed from the records in the plainest way. Rows are texts of columns joined
 * by `|`, as `observe` gives them.
 */
export function expectedTables(values: readonly Value[]): Record<string, string[]> {
  const views = values.filter((value) => value.kind === "view");
  const orders = values.filter((value) => value.kind === "order");
  const changes = values.filter((value) => value.kind === "change");
  const articles = entityRows(crashEntities.articles, changes.map(changeRecord));
  const lastOrders = entityRows(crashEntities.last_orders, orders.map(orderRecord));
  const people = new Persons(crashPeople, views.map(recordOf));
  const personOf = (view: View): string | undefined =>
    people.of(recordOf(view), ["visitor", "account"]) ?? undefined;
  const bySku = grouped(orders, ({ sku }) => sku);
  const lastOrder = (sku: string, atUs = Infinity): string =>
    (bySku.get(sku) ?? [])
      .filter((order) => order.atUs <= atUs)
      .reduce<Order | undefined>((a, b) => (a === undefined || b.atUs > a.atUs ? b : a), undefined)?.id ?? "";
  return {
    views_now: views.map(({ id, sku }) => `${id}|${lastOrder(sku)}`),
    views_then: views.map(({ id, sku, atUs }) => `${id}|${lastOrder(sku, atUs)}`),
    demand: [...bySku].map(([sku, all]) => {
      const units = all.reduce((sum, order) => sum + order.units, 0);
      return [sku, units, lastOrder(sku), views.filter((view) => view.sku === sku).length].join("|");
    }),
    visits: visits(views),
    views: perMinute(views),
    stock: stock(orders),
    articles: articles.current.map(articleText),
    articles_history: articles.history.map((row) => `${articleText(row)}|${intervalText(row)}`),
    last_orders: lastOrders.current.map(lastOrderText),
    people: people.rows().map(({ id_kind, id, person }) => `${id_kind}|${id}|${person}`),
    persons: persons(views, personOf),
    journeys: runs(views, personOf).map(({ key, session, first, last }) =>
      [key, first.atUs, last.atUs, session.length, decimalText(cents(session))].join("|"),
    ),
  };
}

const cents = (views: readonly View[]): number => views.reduce((sum, view) => sum + view.cents, 0);

const recordOf = ({ id, atUs, visitor, account }: View): CleanRecord => ({
  contract: productViewed,
  id,
  timeUs: BigInt(atUs),
  text: "",
  value: { visitor, account },
});

const orderRecord = ({ id, atUs, sku, units }: Order): CleanRecord => ({
  contract: orderPlaced,
  id,
  timeUs: BigInt(atUs),
  text: "",
  value: { order_id: id, sku, units },
});

const changeRecord = ({ id, atUs, change }: RowChange): CleanRecord => ({
  contract: rowChanges,
  id,
  timeUs: BigInt(atUs),
  text: "",
  value: { ...change },
});

/** Mark and misfits last: the mark of a row is that of its last record. */
function articleText({ columns, extra, unknown, version }: EntityRow): string {
  const { id, name, price, state } = columns;
  const text = (value: unknown): string => (value === null ? "" : `${value as string | number | bigint}`);
  const money = price === null ? "" : decimalText(Number(price));
  const extras = [extra["more"], extra["price"], extra["mark"]].map((value) => text(value ?? null));
  return [text(id), text(name), money, text(state), ...extras, unknown.join(" "), version].join("|");
}

const intervalText = ({ op, fromUs, toUs }: HistoryRow): string => [op, fromUs, toUs ?? ""].join("|");

const lastOrderText = ({ columns }: EntityRow): string =>
  [columns["sku"], columns["order_id"], columns["units"]].map(String).join("|");

interface Run {
  readonly key: string;
  readonly session: readonly View[];
  readonly first: View;
  readonly last: View;
}

/** The sessions of each key that is there. */
function runs(views: readonly View[], keyOf: (view: View) => string | undefined): Run[] {
  const found: Run[] = [];
  for (const [key, all] of grouped(views, keyOf)) {
    if (key === undefined) continue;
    let session: View[] = [];
    const close = (): void => {
      const [first, last] = [session[0], session.at(-1)];
      if (first !== undefined && last !== undefined) found.push({ key, session, first, last });
    };
    for (const view of all.sort((a, b) => a.atUs - b.atUs)) {
      const last = session.at(-1);
      if (last !== undefined && view.atUs - last.atUs > sessionGapMs * 1000) {
        close();
        session = [];
      }
      session.push(view);
    }
    close();
  }
  return found;
}

const skusOf = (views: readonly View[]): number => new Set(views.map((view) => view.sku)).size;

const visits = (views: readonly View[]): string[] =>
  runs(views, (view) => view.visitor).map(({ key, session, first, last }) => {
    const measures = [session.length, session.length, decimalText(cents(session)), skusOf(session)];
    return [key, first.atUs, last.atUs, ...measures].join("|");
  });

const persons = (views: readonly View[], personOf: (view: View) => string | undefined): string[] =>
  [...grouped(views, personOf)].map(([person, all]) =>
    [person ?? "", all.length, decimalText(cents(all)), skusOf(all)].join("|"),
  );

function perMinute(views: readonly View[]): string[] {
  const minute = (us: number): number => Math.floor(us / 60_000_000) * 60_000_000;
  return [...grouped(views, (view) => `${view.sku}|${minute(view.atUs)}`)].map(
    ([group, all]) => `${group}|${all.length}|${decimalText(cents(all))}`,
  );
}

function stock(orders: readonly Order[]): string[] {
  return [...grouped(orders, (order) => order.sku)].map(([sku, all]) => {
    return `${sku}|${all.length}|${all.reduce((sum, order) => sum + order.units, 0)}`;
  });
}

function grouped<T, K>(values: readonly T[], key: (value: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const value of values) {
    const group = groups.get(key(value));
    if (group === undefined) groups.set(key(value), [value]);
    else group.push(value);
  }
  return groups;
}
