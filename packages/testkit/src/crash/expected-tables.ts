import { sessionGapMs } from "./project.ts";
import { decimalText } from "./workload.ts";
import type { Order, View } from "./workload.ts";

/**
 * The tables of the reference project, computed from the records in the plainest way. Rows are texts of columns joined
 * by `|`, as `observe` gives them.
 */
export function expectedTables(
  values: readonly (View | Order)[],
): Record<"visits" | "views" | "stock", string[]> {
  const views = values.filter((value) => value.kind === "view");
  const orders = values.filter((value) => value.kind === "order");
  return { visits: visits(views), views: perMinute(views), stock: stock(orders) };
}

const cents = (views: readonly View[]): number => views.reduce((sum, view) => sum + view.cents, 0);

function visits(views: readonly View[]): string[] {
  const rows: string[] = [];
  for (const [visitor, all] of grouped(views, (view) => view.visitor)) {
    if (visitor === undefined) continue;
    let session: View[] = [];
    const close = (): void => {
      const [first, last] = [session[0], session.at(-1)];
      if (first === undefined || last === undefined) return;
      const skus = new Set(session.map((view) => view.sku)).size;
      const measures = [session.length, session.length, decimalText(cents(session)), skus];
      rows.push([visitor, first.atUs, last.atUs, ...measures].join("|"));
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
  return rows;
}

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
