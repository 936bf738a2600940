import { products } from "../shop/catalogue.ts";
import type { StoreBooks } from "../store/messages.ts";
import type { Api, Cell } from "./api.ts";
import type { StoreDatabase } from "./store-database.ts";

const pollMs = 250;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Waits until Weir has every product as it was when it was first read. Whatever changes them later comes as a change, and the
 * history has it.
 */
export async function untilSnapshot(api: Api, ended: () => boolean): Promise<void> {
  while (!ended()) {
    const [count] = await answer(api, "SELECT count(*) FROM products");
    if (Number(count) === products.length) return;
    await pause(pollMs);
  }
}

/**
 * Waits until Weir has what the store did last: the row that it wrote after all others, each charge as it is at Stripe, each line
 * of the bank's files. What Weir still lacks after `patienceMs` is for the comparison to say.
 */
export async function untilCaughtUp(
  api: Api,
  store: StoreDatabase,
  books: StoreBooks,
  patienceMs: number,
): Promise<void> {
  const [[charges, refunded] = []] = await store.query(
    `SELECT count(*) FILTER (WHERE kind = 'charge'), coalesce(sum(amount * 100) FILTER (WHERE kind = 'refund'), 0)::bigint FROM payments`,
  );
  const { lines, bad } = books.settlements;
  const wanted = [1, Number(charges), Number(refunded), lines, bad];
  const question = `SELECT
    (SELECT count(*) FROM customers WHERE id = ${books.lastCustomer}),
    (SELECT count(*) FROM charges), (SELECT coalesce(sum(amount_refunded), 0)::BIGINT FROM charges),
    (SELECT count(*) FROM payments), (SELECT count(*) FROM quarantine WHERE source = 'settlements')`;
  const deadline = performance.now() + patienceMs;
  while (performance.now() < deadline) {
    const found = await answer(api, question);
    if (wanted.every((least, i) => Number(found[i] ?? 0) >= least)) return;
    await pause(pollMs);
  }
}

/** Empty where the engine does not answer, as while it starts again. */
async function answer(api: Api, sql: string): Promise<readonly Cell[]> {
  try {
    return (await api.query(sql))[0] ?? [];
  } catch {
    return [];
  }
}
