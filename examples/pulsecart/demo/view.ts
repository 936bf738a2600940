import type { Api, Cell, Status } from "./api.ts";

/** What the screen shows of the tables. */
export interface View {
  readonly status: Status;
  readonly visits: readonly (readonly Cell[])[];
  readonly revenue: readonly (readonly Cell[])[];
  readonly stock: readonly (readonly Cell[])[];
  readonly quarantine: readonly (readonly Cell[])[];
  readonly orders: readonly (readonly Cell[])[];
}

export const viewRows = 8;

/** Queries for the screen; README.md and the end of the demo offer some of them to try. */
export const queries = {
  visits: `SELECT anonymous_id, channel, session_start, session_end, records, products, cart
    FROM visits ORDER BY session_end DESC, session_id LIMIT ${viewRows}`,
  revenue: `SELECT window_start, sum(orders),
      sum(revenue) FILTER (WHERE currency = 'EUR'), sum(revenue) FILTER (WHERE currency = 'GBP'),
      sum(revenue) FILTER (WHERE currency = 'USD')
    FROM revenue_per_minute GROUP BY window_start ORDER BY window_start DESC LIMIT ${viewRows}`,
  stock: `SELECT sku, warehouse, on_hand, moves FROM stock_on_hand ORDER BY on_hand, sku, warehouse LIMIT ${viewRows}`,
  quarantine: `SELECT reason, count(*), arg_max(coalesce(contract, sent, source), received_at),
      arg_max(coalesce(violations->0->>'message', detail, ''), received_at),
      arg_max(coalesce(text, base64), received_at)
    FROM quarantine GROUP BY reason ORDER BY count(*) DESC, reason LIMIT ${viewRows}`,
  orders: `SELECT order_id, status, tier, units, total, charged, settled
    FROM order_facts ORDER BY order_id DESC LIMIT ${viewRows}`,
} as const;

/** Everything of one refresh. @throws DemoFailure when the engine does not answer */
export async function readView(api: Api): Promise<View> {
  const [status, visits, revenue, stock, quarantine, orders] = await Promise.all([
    api.status(),
    api.query(queries.visits),
    api.query(queries.revenue),
    api.query(queries.stock),
    api.query(queries.quarantine),
    api.query(queries.orders),
  ]);
  return { status, visits, revenue, stock, quarantine, orders };
}
