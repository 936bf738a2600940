/**
 * PulseCart's store, in a process of its own: a real PostgreSQL server with the store's tables, the transactions on them,
 * and what comes with a store: payments at Stripe, settlement files of the bank, log lines. Started by demo.ts; the server and
 * its folder are gone when this process ends or the demo does, however it ends.
 */
import { postgresMissing } from "@weir/testkit/postgres";
import { Pool } from "pg";
import { Random } from "./shop/random.ts";
import { Business } from "./store/business.ts";
import { LogLines } from "./store/log-lines.ts";
import type { FromStore, StoreBooks, StoreOptions, ToStore } from "./store/messages.ts";
import { fillStore } from "./store/seed.ts";
import { GuardedServer } from "./store/server.ts";
import { Settlements } from "./store/settlements.ts";
import { StripeAccount } from "./store/stripe-account.ts";
import { Webhooks } from "./store/webhooks.ts";

const reportEveryMs = 500;
const dropEveryMs = 4_000;
const connections = 6;

const tell = (message: FromStore): void => {
  if (process.connected) process.send?.(message);
};

async function main(options: StoreOptions, databaseUrl: string): Promise<void> {
  const random = new Random(options.seed);
  const pool = new Pool({ connectionString: databaseUrl, max: connections });
  // Of a connection that nobody uses; whoever uses one is told by what fails.
  pool.on("error", () => {});
  const lines = new LogLines();
  const webhooks = new Webhooks(new Random(options.seed + 1));
  const settlements = new Settlements(options.drops, new Random(options.seed + 2));
  const stripe = await StripeAccount.start(options.seed, (event) => webhooks.happened(event));
  const business = new Business({ pool, random, stripe, settlements, lines });
  await fillStore(pool, stripe, settlements);
  settlements.drop();
  stripe.open();
  await business.open(options.ordersPerSecond);
  console.error(`store: PostgreSQL at ${databaseUrl}, Stripe at ${stripe.url}`);

  const timers = [
    setInterval(() => tell({ type: "progress", transactions: business.transactions }), reportEveryMs),
    setInterval(() => settlements.drop(), dropEveryMs),
  ];
  const close = async (): Promise<StoreBooks> => {
    const lastCustomer = await business.close();
    for (const timer of timers) clearInterval(timer);
    settlements.drop();
    await Promise.all([webhooks.flush(), lines.close()]);
    return {
      transactions: business.transactions,
      lastCustomer,
      logLines: lines.counts,
      webhooks: webhooks.counts,
      settlements: settlements.counts,
    };
  };
  let changed: Promise<void> = Promise.resolve();
  process.on("message", (message: ToStore) => {
    if (message.type === "open") {
      webhooks.open(message.url);
      lines.open(message.url);
    } else if (message.type === "captured") {
      changed = business.changeThings();
      changed.catch(fail);
    } else {
      void changed.then(close).then((books) => tell({ type: "books", books }), fail);
    }
  });
  tell({ type: "ready", databaseUrl, stripeUrl: stripe.url });
  await business.failed;
}

const missing = postgresMissing(18);
const server = missing === undefined ? new GuardedServer() : undefined;

let ending = false;
async function end(code: number): Promise<void> {
  if (ending) return;
  ending = true;
  try {
    await server?.close();
  } finally {
    // What could not be removed, as the server is still starting, its guard removes.
    process.exit(code);
  }
}

const fail = (error: unknown): void => {
  console.error(error);
  void end(1);
};

if (server === undefined) {
  tell({ type: "missing", reason: missing ?? "" });
  process.disconnect?.();
} else {
  // Without its parent nobody needs it, and that may have gone before this line.
  process.on("disconnect", () => void end(0));
  if (!process.connected) void end(0);
  process.on("SIGTERM", () => void end(0));
  process.on("uncaughtException", fail);
  const options = JSON.parse(process.argv[2] ?? "{}") as StoreOptions;
  server
    .start()
    .then((url) => main(options, url))
    .catch(fail);
}
