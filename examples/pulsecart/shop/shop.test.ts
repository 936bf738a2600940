import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { validator } from "weir";
import type { Contract } from "weir";
import * as contracts from "../contracts.ts";
import { Shop } from "./shop.ts";
import { contractNames } from "./message.ts";
import type { Message } from "./message.ts";
import { hour, minute } from "./world.ts";

const opensAt = Date.UTC(2026, 0, 15, 8);
const options = { seed: 5, opensAt, messagesPerMinute: 300 };

/** All messages of the first hour, with what clients hold at its end. */
function messagesOf(shop: Shop, stepsMs: readonly number[] = [hour]): Message[] {
  const messages: Message[] = [];
  let now = opensAt;
  for (let i = 0; now < opensAt + hour; i++) {
    now = Math.min(now + (stepsMs[i % stepsMs.length] ?? hour), opensAt + hour);
    messages.push(...shop.advance(now));
  }
  return [...messages, ...shop.close()];
}

const distinct = (messages: readonly Message[]): Message[] => [...new Set(messages)];

describe("the simulated shop", () => {
  test("one seed gives one shop, however its clock is moved", () => {
    const whole = JSON.stringify(messagesOf(new Shop(options)));
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1_000, max: 20 * minute }), { minLength: 1, maxLength: 5 }),
        (steps) => {
          // Compared before it is expected: a difference would print megabytes.
          expect(JSON.stringify(messagesOf(new Shop(options), steps)) === whole).toBe(true);
        },
      ),
      { numRuns: 10 },
    );
  });

  test("another seed gives another shop", () => {
    expect(JSON.stringify(messagesOf(new Shop({ ...options, seed: 6 })))).not.toBe(
      JSON.stringify(messagesOf(new Shop(options))),
    );
  });

  test("ids are unique, and some messages are sent twice", () => {
    const messages = messagesOf(new Shop(options));
    const once = distinct(messages);
    expect(new Set(once.map(({ id }) => id)).size).toBe(once.length);
    expect(messages.length - once.length).toBeGreaterThan(100);
  });

  test("messages leave out of order, some of them late", () => {
    const messages = messagesOf(new Shop(options));
    let newest = 0;
    const late = messages.map(({ at }) => {
      newest = Math.max(newest, at);
      return newest - at;
    });
    expect(late.filter((ms) => ms > 0).length).toBeGreaterThan(messages.length / 2);
    expect(late.filter((ms) => ms > 10 * minute).length).toBeGreaterThan(50);
  });

  test("there are as many sessions with a gap of half an hour as visits", () => {
    const messages = distinct(messagesOf(new Shop({ ...options, seed: 8 }), [5 * minute]));
    const visits = messages.filter(({ means }) => "books" in means && means.books?.opensVisit === true);
    expect(visits.length).toBeGreaterThan(500);
    expect(sessionsOf(messages)).toBe(visits.length);
  });

  test("pauses of exactly half an hour, and visits a millisecond longer apart, occur", () => {
    const pauses = [...timesByVisitor(distinct(messagesOf(new Shop(options))))].flatMap(([, times]) =>
      times.slice(1).map((time, i) => time - (times[i] ?? 0)),
    );
    expect(pauses).toContain(30 * minute);
    expect(pauses).toContain(30 * minute + 1);
  });

  test("a sound message fits its contract; one that breaks it does not", () => {
    const judges = new Map(
      Object.values(contracts)
        .filter(({ name }) => contractNames.some((sent) => sent === name))
        .map((contract: Contract) => [contract.name, validator(contract)]),
    );
    const seen = new Set<string>();
    for (const message of distinct(messagesOf(new Shop(options)))) {
      const { means } = message;
      if ("poison" in means) {
        seen.add(means.poison);
        if (means.poison !== "contract_violation") continue;
        expect(judges.get(contractOf(message))?.(recordOf(message))).not.toEqual([]);
      } else {
        seen.add(means.contract);
        expect(judges.get(means.contract)?.(recordOf(message))).toEqual([]);
      }
    }
    expect(seen.size).toBe(judges.size + 4);
  });
});

/** The record that Weir makes of a message, as docs/reference/http.md says. */
function recordOf(message: Message): unknown {
  const { id, at } = message;
  const time = new Date(at).toISOString();
  if (message.client === "inventory") return JSON.parse(message.line);
  if (message.client === "orders") return { ...message.data, event_id: id, occurred_at: time };
  const { anonymousId, userId, properties } = message;
  const user = userId === undefined ? {} : { user_id: userId };
  return { ...properties, message_id: id, timestamp: time, anonymous_id: anonymousId, ...user };
}

function contractOf(message: Message): string {
  if (message.client === "inventory") return "stock_moved";
  return message.client === "orders" ? "order_placed" : "product_viewed";
}

function timesByVisitor(messages: readonly Message[]): Map<string, number[]> {
  const times = new Map<string, number[]>();
  for (const message of messages) {
    if (!("anonymousId" in message) || "poison" in message.means) continue;
    times.set(message.anonymousId, [...(times.get(message.anonymousId) ?? []), message.at]);
  }
  for (const list of times.values()) list.sort((a, b) => a - b);
  return times;
}

/** Sessions by their definition: a silence longer than the gap begins another. */
function sessionsOf(messages: readonly Message[]): number {
  let sessions = 0;
  for (const times of timesByVisitor(messages).values()) {
    sessions += 1 + times.slice(1).filter((time, i) => time - (times[i] ?? 0) > 30 * minute).length;
  }
  return sessions;
}
