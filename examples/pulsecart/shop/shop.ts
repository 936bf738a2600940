import type { Message } from "./message.ts";
import { sendPoison } from "./poison.ts";
import { Random } from "./random.ts";
import { fillWarehouses, restock } from "./stock.ts";
import { Timeline } from "./timeline.ts";
import { Visit } from "./visit.ts";
import { newVisitor } from "./visitor.ts";
import { minute, second } from "./world.ts";
import type { World } from "./world.ts";

export interface ShopOptions {
  readonly seed: number;
  /** When the shop opens, in milliseconds since the epoch. */
  readonly opensAt: number;
  /** About so many messages are sent in a minute of the shop's clock once visitors have settled in. */
  readonly messagesPerMinute: number;
}

/** Messages that a visit leads to, on average: its own events, orders, statuses, stock. Measured. */
const messagesPerVisit = 9;
/** So many minutes of visitors wait at the door, so that the shop is busy from the start. */
const waiting = 2;
const poisonShare = 0.008;
const repeatedShare = 0.02;
const restockShare = 0.01;

/**
 * A simulated shop: a list of things to do by time, worked off in order. What happens depends on the seed alone, not on
 * the steps in which the clock is moved.
 */
export class Shop {
  readonly #random: Random;
  readonly #opensAt: number;
  readonly #tasks = new Timeline<() => void>();
  readonly #outbox = new Timeline<Message>();
  readonly #world: World;
  #ids = 0;

  constructor({ seed, opensAt, messagesPerMinute }: ShopOptions) {
    const random = new Random(seed);
    this.#random = random;
    this.#opensAt = opensAt;
    this.#world = {
      random,
      at: (time, task) => this.#tasks.add(time, task),
      send: (message, delayMs) => this.#send(message, delayMs),
      id: (prefix) => this.#id(prefix),
    };
    fillWarehouses(this.#world, opensAt);
    const visitsPerMinute = messagesPerMinute / messagesPerVisit;
    for (let left = Math.round(waiting * visitsPerMinute); left > 0; left--) {
      this.#arrive(opensAt + Math.round(random.between(0, 5 * second)));
    }
    this.#repeat(minute / visitsPerMinute, (at) => this.#arrive(at));
    this.#repeat(minute / (messagesPerMinute * restockShare), (at) => restock(this.#world, at));
    this.#repeat(minute / (messagesPerMinute * poisonShare), (at) => sendPoison(this.#world, at));
  }

  /** Moves the clock. @returns the messages that leave the clients up to then, in order */
  advance(to: number): Message[] {
    for (let task = this.#tasks.take(to); task !== undefined; task = this.#tasks.take(to)) task();
    return this.#leaving(to);
  }

  /** Stops the clock. @returns all messages that a client still holds: phones come back online */
  close(): Message[] {
    return this.#leaving(Infinity);
  }

  #leaving(to: number): Message[] {
    const messages: Message[] = [];
    for (let next = this.#outbox.take(to); next !== undefined; next = this.#outbox.take(to))
      messages.push(next);
    return messages;
  }

  #send(message: Message, delayMs: number): void {
    const leavesAt = message.at + delayMs;
    this.#outbox.add(leavesAt, message);
    // Whoever is not sure that a message arrived sends it again.
    if (this.#random.chance(repeatedShare)) {
      this.#outbox.add(leavesAt + this.#random.between(0, 2) * minute, message);
    }
  }

  #arrive(at: number): void {
    Visit.begin(this.#world, newVisitor(this.#world), at);
  }

  /** Does something again and again, at random times. */
  #repeat(meanMs: number, action: (at: number) => void): void {
    const next = (after: number): void => {
      const at = Math.ceil(after + this.#random.exponential(meanMs));
      this.#tasks.add(at, () => {
        action(at);
        next(at);
      });
    };
    next(this.#opensAt);
  }

  #id(prefix: string): string {
    this.#ids += 1;
    return `${prefix}_${this.#ids.toString(36).padStart(6, "0")}${this.#random.text(4)}`;
  }
}
