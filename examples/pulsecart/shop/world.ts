import type { Message } from "./message.ts";
import type { Random } from "./random.ts";

export const second = 1_000;
export const minute = 60 * second;
export const hour = 60 * minute;

/** What the people and programs of the shop act on. Times in milliseconds since the epoch, of the shop's own clock. */
export interface World {
  readonly random: Random;
  /** Does something at a time. */
  at(time: number, task: () => void): void;
  /** Sends a message; it leaves the client `delayMs` after it happened. */
  send(message: Message, delayMs: number): void;
  /** An id that no other record has. */
  id(prefix: string): string;
}
