import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCollector } from "@weir/collect";
import { directoryStore } from "@weir/log";
import { stripeObjects } from "@weir/testkit";
import { Stripe } from "stripe";
import { expect, onTestFinished, test } from "vitest";
import { stripe } from "./declare.ts";
import { stripeWebhook } from "./webhook.ts";

const version = "2026-10-28.endive";
const nowMs = Date.UTC(2026, 10, 1, 12);

/** A collector with one Stripe source, `pay`, at a fixed time. */
async function collector(webhookSecrets: readonly string[] = ["whsec_1"]) {
  const root = mkdtempSync(join(tmpdir(), "weir-stripe-"));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const spec = stripe({ webhookSecrets, apiVersion: version });
  const running = await createCollector({
    sources: {},
    webhooks: { pay: stripeWebhook("pay", spec) },
    store: directoryStore(root, { minFreeBytes: 0 }),
    writer: "c0",
    clock: () => nowMs * 1000,
  });
  onTestFinished(() => running.close());
  return {
    call: async (payload: string, header: string | undefined) => {
      const response = await fetch(`${running.url}/v1/webhooks/pay`, {
        method: "POST",
        body: payload,
        headers: {
          "content-type": "application/json; charset=utf-8",
          ...(header && { "stripe-signature": header }),
        },
      });
      return { status: response.status, body: (await response.json()) as { code?: string } };
    },
    logged: () => {
      const directory = join(root, "pay", "c0");
      const text = readdirSync(directory)
        .filter((name) => /\.(seg|open)$/.test(name))
        .map((name) => readFileSync(join(directory, name), "utf8"))
        .join("");
      return text.split("\n").filter((line) => line !== "" && !line.startsWith("0\t"));
    },
  };
}

/** A call as Stripe makes it: indented JSON. */
const payload = JSON.stringify(
  {
    id: "evt_1",
    object: "event",
    api_version: version,
    created: Math.floor(nowMs / 1000) - 2,
    data: { object: stripeObjects["invoice"] },
    livemode: false,
    pending_webhooks: 1,
    request: { id: "req_1", idempotency_key: null },
    type: "invoice.paid",
  },
  undefined,
  2,
);

const sign = (secret: string, ageSeconds = 0) =>
  Stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp: nowMs / 1000 - ageSeconds });

test("a call is a change of its object, and the same call again the same change", async () => {
  const { call, logged } = await collector();
  expect(await call(payload, sign("whsec_1"))).toMatchObject({ status: 202 });
  expect(await call(payload, sign("whsec_1", 60))).toMatchObject({ status: 202 });
  const [one, two, ...more] = logged().map((line) => line.split("\t"));
  expect(more).toEqual([]);
  expect(one?.[2]).toBe("pay");
  expect(one?.[6]).toBe(two?.[6]);
  expect(JSON.parse(one?.[6] ?? "")).toMatchObject({
    id: "evt_1",
    stream: "invoice",
    op: "update",
    row: { object: "invoice", _api_version: version },
  });
});

test("both secrets count while one is replaced", async () => {
  const { call, logged } = await collector(["whsec_old", "whsec_new"]);
  for (const secret of ["whsec_old", "whsec_new"]) {
    expect(await call(payload, sign(secret))).toMatchObject({ status: 202 });
  }
  expect(logged()).toHaveLength(2);
});

test("what nobody signed, or long ago, is refused and leaves nothing", async () => {
  const { call, logged } = await collector();
  const refused = [
    await call(payload, undefined),
    await call(payload, sign("whsec_2")),
    await call(payload.replace("evt_1", "evt_2"), sign("whsec_1")),
    await call(payload, sign("whsec_1", 301)),
  ];
  expect(refused.map(({ status, body }) => [status, body.code])).toEqual([
    [400, "webhook_signature_invalid"],
    [400, "webhook_signature_invalid"],
    [400, "webhook_signature_invalid"],
    [400, "webhook_signature_expired"],
  ]);
  expect(logged()).toEqual([]);
});

test("a signed call that is no event is kept as unreadable: Stripe would only send it again", async () => {
  const { call, logged } = await collector();
  const thin = JSON.stringify({
    id: "evt_1",
    object: "v2.core.event",
    type: "v1.billing.meter.no_meter_found",
  });
  const header = Stripe.webhooks.generateTestHeaderString({
    payload: thin,
    secret: "whsec_1",
    timestamp: nowMs / 1000,
  });
  expect(await call(thin, header)).toMatchObject({ status: 202 });
  const [line] = logged().map((one) => one.split("\t"));
  expect(line?.[5]).toBe('invalid_message: object is "v2.core.event", not "event"');
  expect(Buffer.from(line?.[6] ?? "", "base64").toString()).toBe(thin);
});
