import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { FromStore, StoreBooks, StoreOptions, ToStore } from "../store/messages.ts";
import { DemoFailure } from "./failure.ts";

const script = fileURLToPath(new URL("../store.ts", import.meta.url));

/**
 * The process of the store, with its PostgreSQL server. It ends with the demo and takes the server and its folder with it;
 * nothing that the terminal sends reaches it.
 */
export class StoreProcess {
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #books: Promise<StoreBooks>;
  /** Where its database and its Stripe are. */
  readonly databaseUrl: string;
  readonly stripeUrl: string;
  /** Transactions so far. */
  transactions = 0;

  private constructor(child: ChildProcess, ready: FromStore & { type: "ready" }) {
    this.#child = child;
    this.databaseUrl = ready.databaseUrl;
    this.stripeUrl = ready.stripeUrl;
    this.#exited = new Promise((resolve) => void child.once("exit", () => resolve()));
    this.#books = new Promise((resolve, reject) => {
      child.on("message", (message: FromStore) => {
        if (message.type === "progress") this.transactions = message.transactions;
        else if (message.type === "books") resolve(message.books);
      });
      child.once("exit", (code, signal) => reject(ended(code, signal)));
    });
    // Whoever awaits it sees the failure; before that it is not an unhandled one.
    this.#books.catch(() => {});
  }

  /**
   * Resolves once the store is open for business.
   *
   * @param log file descriptor for what it prints
   * @returns why there is no store, where npm has no PostgreSQL for the platform
   * @throws DemoFailure when it ends before
   */
  static async start(options: StoreOptions, log: number): Promise<StoreProcess | string> {
    const child = fork(script, [JSON.stringify(options)], {
      detached: true,
      execArgv: ["--import", import.meta.resolve("tsx")],
      stdio: ["ignore", log, log, "ipc"],
    });
    const first = await new Promise<FromStore>((resolve, reject) => {
      child.once("message", resolve);
      child.once("exit", (code, signal) => reject(ended(code, signal)));
    });
    if (first.type === "missing") return first.reason;
    if (first.type !== "ready") throw new DemoFailure("The store did not get ready.", "The log says more.");
    return new StoreProcess(child, first);
  }

  /** Rejects when the store ends without its books; resolves with them otherwise. */
  get books(): Promise<StoreBooks> {
    return this.#books;
  }

  tell(message: ToStore): void {
    // Should it end at this moment, its exit says so.
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  /** Ends its business. @throws DemoFailure when it ends without its books */
  async stop(): Promise<StoreBooks> {
    this.tell({ type: "stop" });
    return await this.#books;
  }

  /** Ends the database too. @returns once its folder is gone */
  async close(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    await this.#exited;
  }
}

function ended(code: number | null, signal: NodeJS.Signals | null): DemoFailure {
  return new DemoFailure(
    `The store ended with ${signal ?? `exit code ${code}`}.`,
    "The log, above, says why.",
  );
}
