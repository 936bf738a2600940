import type { ClientLedger } from "./ledger.ts";

/** What the process of the clients is told when it starts, as JSON in its first argument. */
export interface ClientsOptions {
  readonly url: string;
  readonly seed: number;
  /** When the shop opens, in milliseconds since the epoch. */
  readonly opensAt: number;
  /** Messages a second, about. */
  readonly rate: number;
  /** Seconds of the shop's clock in a real one. */
  readonly speed: number;
  /** How long the clients may take to deliver what they hold when they are told to stop. */
  readonly patienceMs: number;
}

export type ToClients = { readonly type: "stop" };

export type FromClients =
  | {
      readonly type: "progress";
      /** The shop's clock, in milliseconds since the epoch. */
      readonly shopTime: number;
      /** Records that Weir has acknowledged, each time it did. */
      readonly acknowledged: number;
      readonly pending: number;
    }
  | { readonly type: "ledger"; readonly ledger: ClientLedger };
