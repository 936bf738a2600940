/** A past interval of a source through the command: into an entity, once, whatever it is killed at, and ordered against what comes live. */

import { createHmac } from "node:crypto";
import { StripeServer } from "@weir/testkit";
import { afterEach, expect, onTestFinished, test } from "vitest";
import { askToCancel, readBackfills } from "../backfill/state.ts";
import { Sandbox, until } from "./sandbox.fixture.ts";
import type { Instance } from "./sandbox.fixture.ts";

let sandbox: Sandbox;
afterEach(() => sandbox.dispose());

const version = "2026-10-28.endive";
const hourMs = 3_600_000;
const second = (ms: number): number => Math.floor(ms / 1000);

/** A Stripe account that has existed for two days, and a project that receives its webhooks. */
async function account(
  faults: Partial<Parameters<typeof StripeServer.start>[0]> = {},
): Promise<{ server: StripeServer; interval: string[] }> {
  const nowMs = Date.now();
  const server = await StripeServer.start({ now: () => Date.now(), seed: 1, apiVersion: version, ...faults });
  onTestFinished(() => server.close());
  sandbox = new Sandbox({
    "weir.config.ts": `
import { Type, contract, defineProject, entity, http, stripe, timestamp } from "weir";
const Clicked = contract("clicked", {
  version: "1.0.0", owner: "tests", id: "id", time: "at",
  fields: Type.Object({ id: Type.String(), at: timestamp() }),
});
export default defineProject({
  name: "billing",
  sources: {
    web: http({ contracts: [Clicked] }),
    pay: stripe({
      apiKey: "sk_test_1", webhookSecrets: ["whsec_1"], apiVersion: "${version}", apiUrl: "${server.url}",
      reconcile: false, objects: ["customer", "invoice"],
    }),
  },
  tables: { invoices: entity({ from: "pay.invoice", key: ["id"], columns: { status: Type.String() } }) },
});
`,
  });
  const at = (ms: number): string => new Date(ms).toISOString();
  return { server, interval: ["--from", at(nowMs - 24 * hourMs), "--to", at(nowMs - 2 * hourMs)] };
}

const past = (server: StripeServer, count: number, status = "open"): string[] =>
  Array.from({ length: count }, () =>
    server.create("invoice", { status, created: second(Date.now() - 12 * hourMs) }),
  );

/** A webhook call, signed, of an event of that time. */
async function call(instance: Instance, id: string, status: string, atMs: number): Promise<number> {
  const created = second(atMs);
  const object = { id, object: "invoice", status };
  const body = JSON.stringify({
    id: `evt_${id}_${created}`,
    object: "event",
    api_version: version,
    created,
    type: "invoice.updated",
    data: { object },
  });
  const t = second(Date.now());
  const v1 = createHmac("sha256", "whsec_1").update(`${t}.${body}`).digest("hex");
  const headers = { "stripe-signature": `t=${t},v1=${v1}` };
  return (await fetch(`${instance.url}/v1/webhooks/pay`, { method: "POST", body, headers })).status;
}

const statuses = async (): Promise<Record<string, string>> =>
  Object.fromEntries((await sandbox.rows("SELECT id, status FROM invoices")) as [string, string][]);

test("an interval of a Stripe account becomes rows of an entity: newer than older events, older than newer ones", async () => {
  const { server, interval } = await account();
  const [stale = "", other = ""] = past(server, 130, "paid");
  const before = server.create("invoice", { created: second(Date.now() - 48 * hourMs) });
  const instance = await sandbox.up();
  expect(await call(instance, stale, "open", Date.now() - hourMs)).toBe(202);
  const command = ["backfill", "pay", ...interval];
  expect(await sandbox.json([...command, "--plan"])).toMatchObject({
    code: 0,
    value: {
      source: "pay",
      unit: "types",
      parts: 2,
      found: [
        { name: "customer", rows: null },
        { name: "invoice", rows: null },
      ],
      before: null,
    },
  });
  expect(readBackfills(sandbox.dataDir)).toEqual([]);
  expect(await sandbox.json(command)).toMatchObject({
    code: 0,
    value: { state: "done", unit: "types", pattern: null, parts: 2, partsDone: 2, rows: 130 },
  });
  // Weeks later, as far as the reading can know.
  expect(await call(instance, other, "void", Date.now() + hourMs)).toBe(202);
  await sandbox.run(["drain"]);
  const rows = await statuses();
  expect(Object.keys(rows)).toHaveLength(130);
  expect(rows).toMatchObject({ [stale]: "paid", [other]: "void" });
  expect(rows).not.toHaveProperty(before);

  expect(await sandbox.json(command)).toMatchObject({ code: 0, value: { state: "done", rows: 0 } });
  const status = (await sandbox.json(["status"])).value as { counts: unknown[]; backfills: unknown[] };
  expect(status.counts).toContainEqual(
    expect.objectContaining({ source: "pay", received: 132, loaded: 132, duplicate: 0, quarantined: 0 }),
  );
  expect(status.backfills).toMatchObject([
    { source: "pay", state: "done", from: interval[1], to: interval[3] },
  ]);
  const audit = (await sandbox.json(["audit", "list"])).value as {
    entries: { action: string; detail: object }[];
  };
  expect(audit.entries.find(({ action }) => action === "backfill.start")).toMatchObject({
    detail: { source: "pay", from: interval[1], to: interval[3] },
  });
  expect((await sandbox.run(["verify"])).code).toBe(0);
});

test("cancelled, then killed at each step: the same command goes on, and every object is there once", async () => {
  let isHeld = true;
  const { server, interval } = await account({
    fault: ({ query }) =>
      isHeld && query.has("starting_after") ? { kind: "refused", status: 503 } : undefined,
  });
  past(server, 130);
  const instance = await sandbox.up();
  await instance.stop();
  const command = ["backfill", "pay", ...interval];
  const running = sandbox.json(command);
  await until(() =>
    readBackfills(sandbox.dataDir).some(({ state, rows }) => state === "running" && rows === 100),
  );
  askToCancel(sandbox.dataDir, readBackfills(sandbox.dataDir)[0]?.id ?? "");
  expect(await running).toMatchObject({ code: 1, value: { state: "cancelled", partsDone: 1 } });
  isHeld = false;
  for (const step of ["capture.append.durable:1", "backfill.part.done:1"]) {
    const killed = await sandbox.run(command, { env: { WEIR_FAILPOINT: step } });
    expect(killed.code, killed.stderr).toBe(null);
    expect(readBackfills(sandbox.dataDir)).toMatchObject([{ state: "stopped" }]);
  }
  expect(await sandbox.json(command)).toMatchObject({ code: 0, value: { state: "done", partsDone: 2 } });
  const counts =
    "SELECT (SELECT count(*) FROM invoices)::INTEGER, (SELECT count(*) FROM invoices_history)::INTEGER";
  expect(await sandbox.rows(counts)).toEqual([[130, 130]]);
});

test("what cannot be done says what to do", async () => {
  const { interval } = await account();
  const refused = async (...args: string[]): Promise<unknown> =>
    (await sandbox.json(["backfill", ...args])).error;
  expect(await refused("pay", "--from", "2026-01-01")).toMatchObject({ code: "invalid_usage" });
  expect(await refused("web", ...interval)).toMatchObject({
    code: "invalid_usage",
    remedy: expect.stringContaining("--files"),
  });
  expect(await refused("pay", ...interval)).toMatchObject({ code: "not_running" });
});
