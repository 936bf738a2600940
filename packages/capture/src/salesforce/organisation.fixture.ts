import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JsonObject } from "@weir/contract";
import { FastClock, SalesforceServer, type Subject, capturedRows, seeded } from "@weir/testkit";
import { createSalesforceCapture } from "./capture.ts";
import { salesforce } from "./declare.ts";

const minuteMs = 60_000;

/** An organisation with one object, whose days pass in seconds. */
export async function startOrganisation(mode: "rest" | "bulk"): Promise<Subject> {
  const clock = new FastClock(Date.UTC(2026, 10, 1));
  let disturbed = 0;
  const server = await SalesforceServer.start({
    now: () => clock.now(),
    seed: 1,
    bulkPageRows: 2500,
    fault: () => (disturbed > 0 && disturbed-- > 0 ? { kind: "lost" } : undefined),
  });
  const contact = server.define("Contact", "003", [
    { name: "LastName", type: "string", length: 80 },
    { name: "Score__c", type: "double", precision: 18, scale: 2 },
  ]);
  const chances = seeded(1);
  const insert = () =>
    contact.insert(
      { LastName: `n${chances.below(1e6)}`, Score__c: chances.below(1e4) / 100 },
      chances.below(4000),
    );
  for (let i = 0; i < 30; i++) insert();
  clock.pass(10 * minuteMs);
  const stateDir = mkdtempSync(join(tmpdir(), "weir-salesforce-"));
  const spec = salesforce({
    loginUrl: server.url,
    auth: { clientId: "app", clientSecret: "secret" },
    objects: ["Contact"],
    mode,
  });
  const change = (): void => {
    for (let i = 0; i < 5; i++) insert();
    const live = contact.ids.filter((id) => !contact.isDeleted(id));
    for (let i = 0; i < 5; i++) contact.update(chances.pick(live), { LastName: `m${chances.below(1e6)}` });
    contact.remove(chances.pick(live), chances.below(4000));
    contact.purge(chances.pick(live), true);
  };
  return {
    source: "crm",
    capture: () => createSalesforceCapture(spec, { stateDir, clock }),
    change: () => Promise.resolve(change()),
    fill: (records) => {
      for (let i = 0; i < records; i++) insert();
      return Promise.resolve();
    },
    verify: (records) => {
      const texts = records.flatMap(({ text }) => text ?? []);
      const rows: Record<string, JsonObject> = {};
      for (const [key, row] of capturedRows(texts).get("Contact") ?? []) rows[key] = row;
      const stored: Record<string, JsonObject> = {};
      for (const id of contact.ids) {
        if (contact.isDeleted(id)) {
          const isTold = texts.some((text) => text.includes('"op":"delete"') && text.includes(id));
          assert.ok(isTold, `the deletion of ${id} is not told`);
        } else stored[JSON.stringify([id])] = contact.stored(id)?.values ?? {};
      }
      assert.deepEqual(rows, stored);
    },
    disturb: () => {
      server.expireSessions();
      disturbed = 3;
      return Promise.resolve();
    },
    close: async () => {
      await server.close();
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}
