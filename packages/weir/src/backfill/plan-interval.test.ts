import { Type, contract } from "@weir/contract";
import { http } from "@weir/collect";
import { files, stripe } from "@weir/capture";
import { expect, test } from "vitest";
import { defineProject } from "../project.ts";
import { planInterval } from "./plan-interval.ts";
import type { IntervalPlan } from "./plan-interval.ts";

const clicked = contract("clicked", {
  version: "1.0.0",
  owner: "tests",
  id: "id",
  time: "at",
  fields: Type.Object({ id: Type.String(), at: Type.String({ format: "date-time" }) }),
});

const project = defineProject({
  name: "billing",
  sources: {
    web: http({ contracts: [clicked] }),
    drop: files({ path: "drop", contract: clicked }),
    pay: stripe({
      apiKey: "sk_test_1",
      apiVersion: "2026-10-28.endive",
      objects: ["customer", "payment_link"],
    }),
    calls: stripe({ webhookSecrets: ["whsec_1"], apiVersion: "2026-10-28.endive" }),
  },
});

const plan = (source: string, from: string, to: string): Promise<IntervalPlan> =>
  planInterval(project, "/nowhere", {
    source,
    from,
    to,
    share: 0.25,
    column: undefined,
    tables: undefined,
    count: true,
  });

test("one interval has one id, however it is written; another one has another", async () => {
  const days = await plan("pay", "2026-01-01", "2026-02-01");
  const zone = await plan("pay", "2026-01-01T01:00:00+01:00", "2026-01-31T16:00:00.000-08:00");
  expect(days).toMatchObject({
    source: "pay",
    contract: "pay",
    unit: "types",
    from: "2026-01-01T00:00:00.000Z",
    to: "2026-02-01T00:00:00.000Z",
    parts: 1,
    found: [{ name: "customer" }, { name: "payment_link", leftOut: expect.any(String) }],
    before: undefined,
  });
  expect(zone.id).toBe(days.id);
  expect((await plan("pay", "2026-01-01", "2026-02-02")).id).not.toBe(days.id);
});

test.each(["yesterday", "2026-02-31", "2026-01-01T12:00:00", "2026-01-01T25:00:00Z", "", "1767225600"])(
  "%s is no time of an interval",
  async (wrong) => {
    const refused = { code: "invalid_usage", where: wrong };
    await expect(plan("pay", wrong, "2026-02-01")).rejects.toMatchObject(refused);
    await expect(plan("pay", "2025-01-01", wrong)).rejects.toMatchObject(refused);
  },
);

test("an interval that is empty, or not over, and sources that have none", async () => {
  const usage = { code: "invalid_usage" };
  await expect(plan("pay", "2026-02-01", "2026-02-01")).rejects.toMatchObject(usage);
  await expect(plan("pay", "2026-01-01", "2999-01-01")).rejects.toMatchObject({
    ...usage,
    remedy: expect.stringContaining("at the latest"),
  });
  const justNow = new Date(Date.now() - 5_000).toISOString();
  await expect(plan("pay", "2026-01-01", justNow)).rejects.toMatchObject(usage);
  await expect(plan("shop", "2026-01-01", "2026-02-01")).rejects.toMatchObject({
    ...usage,
    remedy: "Its sources are web, drop, pay, calls.",
  });
  for (const source of ["web", "drop"]) {
    await expect(plan(source, "2026-01-01", "2026-02-01")).rejects.toMatchObject({
      ...usage,
      remedy: expect.stringContaining("--files"),
    });
  }
  await expect(plan("calls", "2026-01-01", "2026-02-01")).rejects.toMatchObject({
    code: "interval_unavailable",
    remedy: expect.stringContaining("apiKey"),
  });
});
