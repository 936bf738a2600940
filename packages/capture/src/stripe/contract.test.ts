import assert from "node:assert/strict";
import type { Json, JsonObject } from "@weir/contract";
import { FastClock, StripeServer, type Subject, capturedRows, captureContract, seeded } from "@weir/testkit";
import { describe, test } from "vitest";
import { createStripeCapture } from "./capture.ts";
import { stripe } from "./declare.ts";

const apiVersion = "2026-10-28.endive";
const types = ["customer", "product", "invoice"];

/** An account without webhooks, whose days pass in seconds. */
async function start(): Promise<Subject> {
  const clock = new FastClock(Date.UTC(2026, 10, 1));
  let disturbed = 0;
  const server = await StripeServer.start({
    now: () => clock.now(),
    seed: 1,
    apiVersion,
    listLagMs: 20_000,
    fault: () => (disturbed > 0 && disturbed-- > 0 ? { kind: "lost" } : undefined),
  });
  const chances = seeded(1);
  for (const type of types) for (let i = 0; i < 10; i++) server.create(type);
  clock.pass(3_600_000);
  const spec = stripe({ apiKey: "sk_test_1", apiVersion, objects: types, apiUrl: server.url });
  const some = (type: string): string => chances.pick(server.all(type))["id"] as string;
  const change = (): void => {
    const invoice = server.create("invoice", { status: "draft" });
    server.update(invoice, { status: "open" }, "invoice.finalized");
    server.update(invoice, { status: "paid" }, "invoice.paid");
    for (let i = 0; i < 3; i++) {
      server.create("customer");
      clock.pass(1000);
      server.update(some("customer"), { metadata: { n: String(chances.below(1e6)) } });
      server.update(some("product"), { name: `n${chances.below(1e6)}` });
    }
    server.remove(some("customer"));
    server.remove(some("product"));
    server.create("product");
  };
  return {
    source: "pay",
    capture: () => createStripeCapture(spec, { clock }),
    change: () => Promise.resolve(change()),
    fill: (records) => {
      for (let i = 0; i < records; i++) {
        server.create("customer");
        if (i % 10 === 0) clock.pass(1000);
      }
      return Promise.resolve();
    },
    verify: (records) => {
      const texts = records.flatMap(({ text }) => text ?? []);
      const ids = new Set(texts.map((text) => (JSON.parse(text) as { id: string }).id));
      const spoilt = records.filter(({ error }) => error !== undefined).length;
      const missing = server.events.filter(({ id }) => !ids.has(id));
      assert.ok(missing.length <= spoilt, `events are missing: ${missing.map(({ id }) => id).join(", ")}`);
      const rows: Record<string, JsonObject> = {};
      for (const [stream, byKey] of capturedRows(texts)) {
        for (const [key, row] of byKey) rows[`${stream} ${key}`] = row;
      }
      const stored: Record<string, JsonObject> = {};
      for (const object of types.flatMap((type) => server.all(type))) {
        if (object["spoilt"] !== undefined) continue;
        const name = `${object["object"] as string} ${JSON.stringify([object["id"] as Json])}`;
        stored[name] = { ...object, _api_version: apiVersion };
      }
      assert.deepEqual(rows, stored);
    },
    // A number that no double holds: whoever reads it as one has another.
    spoil: () => {
      server.create("invoice", { amount_due: 2 ** 60, spoilt: true });
      return Promise.resolve();
    },
    disturb: () => {
      disturbed = 3;
      return Promise.resolve();
    },
    close: () => server.close(),
  };
}

describe("Stripe's reconciliation", () => {
  // A page of events, and what is read again for it.
  const options = { mostWaiting: 200, fill: 1500 };
  for (const { title, run } of captureContract(start, options)) test(title, run);
});
