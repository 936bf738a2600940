import type { Json, JsonObject } from "@weir/contract";
import { canonicalJson, changeContract, changeText, validator } from "@weir/contract";
import { stripeObjects } from "@weir/testkit";
import * as fc from "fast-check";
import type Stripe from "stripe";
import { describe, expect, test } from "vitest";
import { fenceChange, readEvent, readingChange } from "./change.ts";
import { progressOf } from "./progress.ts";

const version = "2026-10-28.endive";

function event(type: Stripe.Event["type"], object: JsonObject, members: JsonObject = {}): JsonObject {
  return {
    id: "evt_1",
    object: "event",
    api_version: version,
    created: 1_793_500_000,
    data: { object },
    livemode: false,
    pending_webhooks: 2,
    request: { id: null, idempotency_key: null },
    type,
    ...members,
  };
}

function changeOf(given: JsonObject) {
  const read = readEvent(given, version);
  if (typeof read === "string") throw new Error(read);
  return read.change;
}

const customer = stripeObjects["customer"] as JsonObject & Record<string, Json>;

test("an event is a change of its object", () => {
  const change = changeOf(event("customer.updated", customer));
  expect(change).toMatchObject({
    id: "evt_1",
    at: "2026-11-01T02:26:40.000Z",
    stream: "customer",
    op: "update",
    key: JSON.stringify([customer["id"]]),
    version: "01793500000-0-1-1-00-evt_1",
  });
  expect(change.row).toEqual({ ...customer, _api_version: version });
});

test.each(Object.keys(stripeObjects))("Stripe's example of %s is a valid record", (type) => {
  const change = changeOf(event("customer.updated", stripeObjects[type] ?? {}));
  expect(validator(changeContract("pay"))(JSON.parse(changeText(change).text))).toEqual([]);
  expect(change.stream).toBe(type);
});

test("the order of members, and what is about the delivery, do not show", () => {
  const shuffled = Object.fromEntries(Object.entries(customer).toReversed());
  const one = changeText(changeOf(event("customer.updated", customer)));
  const other = changeText(
    changeOf(event("customer.updated", shuffled, { pending_webhooks: 0, request: null, livemode: true })),
  );
  expect(other).toEqual(one);
});

test.each([
  ["customer.created", "insert"],
  ["customer.updated", "update"],
  ["customer.deleted", "delete"],
  // Canceled; the subscription stays, with that status.
  ["customer.subscription.deleted", "update"],
] as const)("%s is op %s", (type, op) => expect(changeOf(event(type, customer)).op).toBe(op));

test("a deletion has the key only, whatever version it is rendered in", () => {
  const change = changeOf(event("customer.deleted", customer, { api_version: "2020-08-27" }));
  expect(change).toMatchObject({ id: "evt_1", row: { id: customer["id"] } });
  expect(change).toEqual(changeOf(event("customer.deleted", customer)));
});

test("an event in another version of the API is a record of its own, and loses against the source's", () => {
  const other = changeOf(event("customer.updated", customer, { api_version: "2020-08-27" }));
  const ours = changeOf(event("customer.updated", customer));
  expect(other.id).toBe("evt_1@2020-08-27");
  expect(other.row).toMatchObject({ _api_version: "2020-08-27" });
  expect(other.version < ours.version).toBe(true);
});

test("an object without an id goes by whom it belongs to", () => {
  const balance = stripeObjects["balance"] ?? {};
  expect(changeOf(event("balance.available", balance)).key).toBe('["balance"]');
  expect(changeOf(event("balance.available", balance, { account: "acct_1" })).key).toBe('["acct_1"]');
});

describe("order within a second", () => {
  const of = (type: Stripe.Event["type"], fields: JsonObject, id: string, object = "invoice"): string =>
    changeOf(event(type, { ...stripeObjects[object], ...fields }, { id })).version;

  test("created, then by how far the object has come, then deleted", () => {
    const order = [
      of("invoice.created", { status: "draft" }, "evt_9"),
      of("invoice.updated", { status: "draft" }, "evt_8"),
      of("invoice.finalized", { status: "open" }, "evt_7"),
      of("invoice.paid", { status: "paid" }, "evt_6"),
      of("invoice.deleted", { status: "draft" }, "evt_5"),
    ];
    expect(order.toSorted()).toEqual(order);
  });

  test("where nothing else decides, the event's id does: the same whoever comes first", () => {
    expect(of("invoice.updated", {}, "evt_a") < of("invoice.updated", {}, "evt_b")).toBe(true);
  });

  test("a charge that is captured and refunded", () => {
    const order = [
      { status: "pending" },
      { status: "succeeded", captured: false, amount_refunded: 0, refunded: false },
      { status: "succeeded", captured: true, amount_refunded: 0, refunded: false },
      { status: "succeeded", captured: true, amount_refunded: 50, refunded: false },
      { status: "succeeded", captured: true, amount_refunded: 100, refunded: true },
    ].map((fields) => progressOf({ ...stripeObjects["charge"], ...fields }));
    expect(order.toSorted((a, b) => a - b)).toEqual(order);
    expect(new Set(order).size).toBe(order.length);
  });

  test("events < reading < fence < listing < events of the next second; a later reading wins", () => {
    const subject = { stream: "customer", key: '["c"]', id: "c", account: undefined };
    const reading = (rank: 1 | 3, readMs: number) =>
      readingChange(subject, customer, { second: 1_793_500_000, rank, readMs, apiVersion: version }).version;
    const order = [
      changeOf(event("customer.deleted", customer, { id: "evt_zzz" })).version,
      reading(1, 1_793_500_100_000),
      reading(1, 1_793_500_100_001),
      fenceChange("customer", 1_793_500_000).version,
      reading(3, 1_793_500_100_000),
      reading(3, 1_793_500_100_001),
      changeOf(event("customer.created", customer, { created: 1_793_500_001 })).version,
    ];
    expect(order.toSorted()).toEqual(order);
  });

  test("progress has two digits for anything that an object may say", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.keys(stripeObjects)),
        fc.oneof(
          fc.string(),
          fc.constantFrom("open", "paid", "__proto__", "constructor", "succeeded"),
          fc.integer(),
        ),
        (type, status) => {
          const progress = progressOf({
            object: type,
            status,
            captured: true,
            refunded: true,
            amount_refunded: 1,
          });
          expect(Number.isInteger(progress) && progress >= 0 && progress < 100).toBe(true);
        },
      ),
    );
  });
});

test("a member named __proto__, which a customer may write into metadata, stays what it is", () => {
  const metadata = JSON.parse('{"b":"1","__proto__":"x","a":"2"}') as JsonObject;
  const { text } = changeText(changeOf(event("customer.updated", { ...customer, metadata })));
  expect(text).toContain('"metadata":{"__proto__":"x","a":"2","b":"1"}');
});

test.each<[string, JsonObject]>([
  ["object is ", event("customer.updated", customer, { object: "v2.core.event" })],
  ["id is no string", event("customer.updated", customer, { id: 1 })],
  ["type is no string", event("customer.updated", customer, { type: null })],
  ["created is no time", event("customer.updated", customer, { created: "now" })],
  ["created is no time", event("customer.updated", customer, { created: -1 })],
  ["created is no time", event("customer.updated", customer, { created: 1e12 })],
  ["data.object is no object", event("customer.updated", customer, { data: null })],
  ["data.object is no object", event("customer.updated", customer, { data: { object: [] } })],
  ["data.object.object is no string", event("customer.updated", { id: "x" })],
  ["a value that cannot be kept exactly", event("customer.updated", { ...customer, balance: 2 ** 53 })],
  [
    "a value that cannot be kept exactly",
    event("customer.updated", { ...customer, x: [{ "\u00e9": Infinity }] }),
  ],
  ["a value that cannot be kept exactly", event("customer.updated", { ...customer, name: "\ud83d" })],
])("%s: no change", (why, given) => {
  const read = readEvent(given, version);
  expect(read).toContain(why);
  expect(read).toMatch(/^[\x20-\x7e]*$/);
});

test("readings of the same content at the same time are the same record", () => {
  const subject = { stream: "customer", key: '["c"]', id: "c", account: undefined };
  const at = { second: 1, rank: 1, readMs: 5000, apiVersion: version } as const;
  const shuffled = JSON.parse(canonicalJson(customer)) as JsonObject;
  expect(changeText(readingChange(subject, shuffled, at))).toEqual(
    changeText(readingChange(subject, customer, at)),
  );
});
