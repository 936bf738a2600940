/** What the process of the store is told when it starts, as JSON in its first argument. */
export interface StoreOptions {
  readonly seed: number;
  /** Orders placed a second, about. */
  readonly ordersPerSecond: number;
  /** The directory that settlement files are dropped into. */
  readonly drops: string;
}

export type ToStore =
  /** Weir takes webhooks and log lines at this address. */
  | { readonly type: "open"; readonly url: string }
  /** Weir has the products as they were: from now on they may change, and the migration may run. */
  | { readonly type: "captured" }
  /** No more transactions: what is under way ends, what waits to be sent is sent. */
  | { readonly type: "stop" };

export type FromStore =
  | {
      readonly type: "ready";
      readonly databaseUrl: string;
      /** Where the stand-in for Stripe's API is. */
      readonly stripeUrl: string;
    }
  /** There is no PostgreSQL for this platform: there will be no store. */
  | { readonly type: "missing"; readonly reason: string }
  | { readonly type: "progress"; readonly transactions: number }
  | { readonly type: "books"; readonly books: StoreBooks };

/** What only the store's process knows, and not its database. */
export interface StoreBooks {
  readonly transactions: number;
  /** The row that was written after everything else. */
  readonly lastCustomer: number;
  /** By severity. */
  readonly logLines: Readonly<Record<string, number>>;
  readonly webhooks: {
    /** Events that happened while the demo ran. */
    readonly events: number;
    /** Calls that Weir accepted. */
    readonly accepted: number;
    /** Events that were called twice, and those that were never. */
    readonly twice: number;
    readonly never: number;
  };
  readonly settlements: { readonly files: number; readonly lines: number; readonly bad: number };
}
