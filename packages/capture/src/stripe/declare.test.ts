import { expect, test } from "vitest";
import { type StripeOptions, stripe } from "./declare.ts";
import { defaultObjects } from "./objects.ts";

const apiVersion = "2026-10-28.endive";

test("defaults", () => {
  const source = stripe({ apiKey: "rk_live_1", apiVersion });
  expect(source).toMatchObject({
    kind: "stripe",
    reconcileMs: 600_000,
    toleranceMs: 300_000,
    holdMs: 60_000,
    objects: defaultObjects,
    apiUrl: "https://api.stripe.com",
  });
  expect(source.contractsFor("pay").map(({ name }) => name)).toEqual(["pay"]);
  expect(stripe({ apiKey: "rk_live_1", apiVersion, reconcile: false }).reconcileMs).toBeUndefined();
  expect(stripe({ webhookSecrets: ["whsec_1"], apiVersion: "2020-08-27" }).reconcileMs).toBeUndefined();
});

test.each<[string, StripeOptions]>([
  ["neither key nor secret", { apiVersion }],
  ["a version that is none", { apiKey: "k", apiVersion: "latest" }],
  ["a key with a line break", { apiKey: "sk_live_1\n", apiVersion }],
  ["an empty secret", { webhookSecrets: [""], apiVersion }],
  ["a secret with a space behind it", { webhookSecrets: ["whsec_1 "], apiVersion }],
  ["a type that has no list", { apiKey: "k", apiVersion, objects: ["payment_method"] }],
  ["a type that is none", { apiKey: "k", apiVersion, objects: ["customers"] }],
  ["no time between reconciliations", { apiKey: "k", apiVersion, reconcile: 0 }],
  ["an address without TLS", { apiKey: "k", apiVersion, apiUrl: "http://api.stripe.com" }],
  [
    "an address that only begins like this machine's",
    { apiKey: "k", apiVersion, apiUrl: "http://127.0.0.1.evil.example" },
  ],
  [
    "an address that names this machine as its user",
    { apiKey: "k", apiVersion, apiUrl: "http://127.0.0.1:80@evil.example" },
  ],
])("%s is refused, and no secret is told", (_, options) => {
  const refused = () => stripe(options);
  expect(refused).toThrow(expect.objectContaining({ code: "invalid_source" }));
  expect(refused).not.toThrow(/whsec_1|sk_live_1/);
});
