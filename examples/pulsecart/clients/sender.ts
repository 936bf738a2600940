import type { Message } from "../shop/message.ts";

/**
 * A client program: hands messages to its SDK until each is acknowledged, however often that takes. Bounded by whoever
 * calls `send`, by `pending`.
 */
export interface Sender<M extends Message> {
  /** Messages handed over and not acknowledged yet. */
  readonly pending: number;
  send(message: M): void;
  /** Sends what waits in batches now, and resolves when nothing is pending. */
  flush(): Promise<void>;
}

export interface SenderOptions {
  /** Where Weir is, or the network before it. */
  readonly url: string;
  readonly writeKey: string;
  /** Told of each message that Weir acknowledged. */
  readonly acknowledged: (message: Message) => void;
}

/** How long a client waits before it hands a message that failed to its SDK again. */
export const againMs = 500;
export const flushEveryMs = 250;
/** Messages a request. */
export const batchSize = 50;

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
