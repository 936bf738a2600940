import { join } from "node:path";
import { Api } from "./api.ts";
import { untilCaughtUp, untilSnapshot } from "./catch-up.ts";
import type { DemoOptions } from "./options.ts";
import type { Comparison } from "./reconcile.ts";
import { reconcileStore } from "./reconcile-store.ts";
import { StoreDatabase } from "./store-database.ts";
import { StoreProcess } from "./store-process.ts";
import type { StoreBooks } from "../store/messages.ts";

/** Records of the clients an order of the store, about. */
const recordsPerOrder = 100;
/** So long Weir may take to catch up with the store once that has closed. */
const catchUpMs = 60_000;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms).unref());

/** What the store's side of the demo came to. */
export interface StoreOutcome {
  readonly books: StoreBooks;
  readonly comparisons: readonly Comparison[];
}

/** The store's part in the demo: its process, what Weir is told of it, and the comparison at the end. */
export class StorePart {
  readonly #process: StoreProcess;
  readonly #drops: string;
  readonly #database: StoreDatabase;
  #snapshot: Promise<void> = Promise.resolve();
  #closing = false;

  private constructor(process: StoreProcess, drops: string) {
    this.#process = process;
    this.#drops = drops;
    this.#database = new StoreDatabase(process.databaseUrl);
  }

  /**
   * @param log file descriptor for what it prints
   * @returns why there is none, where it is not wanted or npm has no PostgreSQL for the platform
   * @throws DemoFailure
   */
  static async start(options: DemoOptions, dataDir: string, log: number): Promise<StorePart | string> {
    if (!options.store) return "is left out (--no-store)";
    const drops = join(dataDir, "drops");
    const ordersPerSecond = Math.max(1, options.rate / recordsPerOrder);
    const process = await StoreProcess.start({ seed: options.seed, ordersPerSecond, drops }, log);
    return typeof process === "string" ? process : new StorePart(process, drops);
  }

  /** What the project file finds in the environment. */
  get environment(): Readonly<Record<string, string>> {
    return {
      PULSECART_STORE_URL: this.#process.databaseUrl,
      PULSECART_SETTLEMENTS: this.#drops,
      STRIPE_API_URL: this.#process.stripeUrl,
    };
  }

  /** Rejects when the store ends by itself. */
  get unexpectedEnd(): Promise<unknown> {
    return this.#process.books;
  }

  get transactions(): number {
    return this.#process.transactions;
  }

  /** Weir is up at this address: webhooks and log lines go there. Prices may change once Weir has seen them as they were. */
  open(url: string): void {
    this.#process.tell({ type: "open", url });
    this.#snapshot = untilSnapshot(new Api(url), () => this.#closing).then(() =>
      this.#process.tell({ type: "captured" }),
    );
  }

  /** The store ends its business; resolves once Weir has all of it, or has had its time. */
  async finish(url: string): Promise<StoreBooks> {
    await Promise.race([this.#snapshot, pause(catchUpMs)]);
    const books = await this.#process.stop();
    await untilCaughtUp(new Api(url), this.#database, books, catchUpMs);
    return books;
  }

  async compare(url: string, books: StoreBooks): Promise<StoreOutcome> {
    return { books, comparisons: await reconcileStore(new Api(url), this.#database, books) };
  }

  /** Ends the database. @returns once its folder is gone */
  async close(): Promise<void> {
    this.#closing = true;
    await this.#database.close();
    await this.#process.close();
  }
}
