import { existsSync } from "node:fs";
import { join } from "node:path";
import { postgresMissing } from "@weir/testkit/postgres";
import { Stripe } from "stripe";
import { afterEach, describe, expect, test, vi } from "vitest";
import { DemoRun, isRunning, root, until } from "./demo-run.fixture.ts";

// A demo is a dozen processes and a database server; a busy machine multiplies what they need.
vi.setConfig({ testTimeout: 300_000 });

const noPostgres = postgresMissing(18);
const linux = process.platform === "linux";

const runs: DemoRun[] = [];
const start = (...args: string[]): DemoRun => {
  const run = new DemoRun("--rate", "400", ...args);
  runs.push(run);
  return run;
};

afterEach(async () => {
  for (const run of runs.splice(0)) await run.remove();
});

/** The comparison with the store's database: both totals, and nothing of it empty. */
function expectStore({ output }: DemoRun): void {
  for (const line of ["total of all orders", "charged by Stripe", "settled by the bank"]) {
    expect(output).toMatch(new RegExp(`^${line} +EUR ([1-9][\\d,.]*) +EUR \\1 +ok$`, "m"));
  }
  const rows = ["orders, one by one", "their items", "customers, where they live", "stock, by place"];
  rows.push("e-mail addresses, as tokens", "streets, as tokens");
  for (const line of [...rows, "orders delivered", "log lines INFO", "bad ones, in quarantine"]) {
    expect(output).toMatch(new RegExp(`^${line} +([1-9][\\d,]*) +\\1 +ok$`, "m"));
  }
  expect(output).toMatch(/^products, with descriptions +24 +24 +ok$/m);
  expect(output).toMatch(/^rows of [1-9]\d* deleted orders +0 +0 +ok$/m);
  expect(output).toMatch(/^e-mail addresses in the clear +0 +0 +ok$/m);
  // More states than products: prices did change while Weir watched.
  const [, states] = /^states of products +(\d+) +\1 +ok$/m.exec(output) ?? [];
  expect(Number(states)).toBeGreaterThan(24);
  expect(output).toMatch(/[1-9][\d,]* Stripe events, \d+ called twice and \d+ never/);
}

async function sendForeignRecord(url: string): Promise<void> {
  const foreign = {
    type: "stock_moved",
    event_id: "from-outside",
    occurred_at: "2026-01-15T08:00:00Z",
    sku: "SHO-100",
    warehouse: "AMS",
    quantity: 1,
    reason: "received",
  };
  const reply = await fetch(`${url}/v1/events?writeKey=demo-inventory`, {
    method: "POST",
    body: JSON.stringify(foreign),
  });
  expect(reply.status).toBe(202);
}

/** One cent more for an order that was there before Weir; Stripe signed it, but the store knows nothing of it. */
async function sendForgedCharge(url: string): Promise<void> {
  const charge = {
    id: "ch_forged",
    object: "charge",
    amount: 1,
    amount_refunded: 0,
    metadata: { order_id: "1" },
  };
  const payload = JSON.stringify({
    id: "evt_forged",
    object: "event",
    api_version: "2026-10-28.endive",
    // Of a later second than any listing of charges, which would say that there is no such charge.
    created: Math.floor(Date.now() / 1000) + 3_600,
    type: "charge.succeeded",
    data: { object: charge },
  });
  const call = async (secret: string): Promise<number> => {
    const signature = Stripe.webhooks.generateTestHeaderString({ payload, secret });
    const headers = { "content-type": "application/json", "stripe-signature": signature };
    return (await fetch(`${url}/v1/webhooks/stripe`, { method: "POST", headers, body: payload })).status;
  };
  expect(await call("whsec_of_somebody_else")).toBe(400);
  expect(await call("whsec_pulsecart")).toBe(202);
}

describe("npm run demo", () => {
  test("--for: real clients, verified and reconciled to the cent; nothing stays behind", async () => {
    const run = start("--for", "8s");
    const { others } = await run.processes();
    const store = noPostgres === undefined && linux ? run.store() : undefined;
    expect(await run.exitCode(), run.output).toBe(0);
    expect(run.output).toContain("Everything adds up");
    expect(run.output).toMatch(/weir verify: ok, \d+ checks/);
    for (const line of ["product_viewed", "order_placed", "visits", "revenue EUR", "units in 72 places"]) {
      expect(run.output).toMatch(new RegExp(`^${line} +[\\d,.]*[1-9][\\d,.]* .* ok$`, "m"));
    }
    for (const reason of ["contract_violation", "unknown_contract"]) {
      expect(run.output).toMatch(new RegExp(`^quarantined: ${reason} +[1-9]`, "m"));
    }
    expect(run.output).toMatch(/^duplicates +[1-9]/m);
    if (noPostgres === undefined) expectStore(run);
    else expect(run.output).toContain(`skipped: the store ${noPostgres}`);
    expect(existsSync(run.dataDir)).toBe(false);
    expect(others.filter(isRunning)).toEqual([]);
    if (store === undefined) return;
    expect([store.process, store.server].filter(isRunning)).toEqual([]);
    await until(() => !existsSync(store.folder) || undefined);
  });

  test("what neither clients nor store know of makes it fail", async () => {
    const run = start("--for", "8s");
    const { url } = await run.processes();
    await sendForeignRecord(url);
    if (noPostgres === undefined) await sendForgedCharge(url);
    expect(await run.exitCode(), run.output).toBe(1);
    expect(run.output).toMatch(/^stock_moved .* DIFFERS$/m);
    expect(run.output).toMatch(/^units in 72 places .*, 1 places differ +DIFFERS$/m);
    expect(run.output).toMatch(/^product_viewed .* ok$/m);
    expect(run.output).toContain("It does not add up.");
    expect(run.output).toContain("weir verify: ok");
    if (noPostgres !== undefined) return;
    expect(run.output).toMatch(/^charged by Stripe +EUR ([\d,.]+) +EUR (?!\1 )[\d,.]+ +DIFFERS$/m);
    expect(run.output).toMatch(/^orders, one by one .*, 1 differ +DIFFERS$/m);
    expect(run.output).toMatch(/^total of all orders .* ok$/m);
  });

  test("it refuses a folder that is not its own", async () => {
    const run = start("--for", "1s", "--data-dir", root);
    expect(await run.exitCode()).toBe(1);
    expect(run.output).toContain("is not empty");
    expect(existsSync(join(root, "package.json"))).toBe(true);
  });
});
