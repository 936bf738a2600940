/** For tests: people with a history that is kept for a time, and what is built from it. */
import { compileProject, enrich, entity, identity } from "@weir/compile";
import { Type, contract, timestamp } from "@weir/contract";
import { expect } from "vitest";
import { Harness } from "./harness.fixture.ts";
import type { LogRecord } from "./harness.fixture.ts";
import type { ResolvedRetention } from "./keep.ts";

const both = { version: "1.0.0", owner: "test", id: "id", time: "at" } as const;
const fields = { id: Type.String(), at: timestamp(), who: Type.String() };
const Named = contract("named", { ...both, fields: Type.Object({ ...fields, name: Type.String() }) });
const Moved = contract("moved", { ...both, fields: Type.Object({ ...fields, city: Type.String() }) });
const Bought = contract("bought", { ...both, fields: Type.Object(fields) });

const program = compileProject({
  name: "p",
  sources: { web: { contracts: [Named, Moved, Bought] } },
  tables: {
    people: entity({ from: [Named, Moved], key: "who" }),
    purchases: enrich({ from: Bought, to: "people", on: { who: "who" }, take: ["name", "city"], asOf: true }),
    ids: identity({ ids: [[Named, { who: "who" }]] }),
  },
});

const dayMs = 86_400_000;
const nowMs = Date.now();
const ago = (days: number): string => new Date(nowMs - days * dayMs).toISOString();
let ids = 0;
const record = (sent: string, days: number, more: object): LogRecord => ({
  source: "web",
  sent,
  text: JSON.stringify({ id: `r${++ids}`, at: ago(days), who: "ann", ...more }),
});
export const named = (days: number, name: string, who = "ann"): LogRecord =>
  record("named", days, { who, name });
export const moved = (days: number, city: string, who = "ann"): LogRecord =>
  record("moved", days, { who, city });
export const bought = (days: number, who = "ann"): LogRecord => record("bought", days, { who });

const forever: ResolvedRetention = {
  rawMs: undefined,
  quarantineMs: undefined,
  cleanMs: undefined,
  cleanOf: {},
  historyMs: undefined,
  historyOf: {},
  rebuildFromKept: [],
};
const internals = { keep: forever, upkeepEveryMs: 50, historyStepMs: 3_600_000 };
export let harness: Harness;

/** Opens an engine that keeps histories so long; for ever where nothing is given. */
export async function keeping(days?: number): Promise<void> {
  internals.keep = days === undefined ? forever : { ...forever, historyOf: { people: days * dayMs } };
  await harness.open(program);
  harness.engine.start();
}

export async function begun(days?: number): Promise<void> {
  harness = new Harness({ internals });
  await keeping(days);
}

export const untilGone = (records: number): Promise<void> =>
  expect.poll(removed, { timeout: 20_000 }).toBe(records);
const removed = async (): Promise<number> =>
  (await harness.engine.status()).removed.find(({ zone }) => zone === "history")?.rows ?? 0;
export const shown = (): Promise<unknown[][]> =>
  harness.rows(
    `SELECT who, name, city, round(epoch(now()::TIMESTAMP - valid_from) / 86400)::INTEGER, valid_to IS NULL FROM people_history ORDER BY who, valid_from`,
  );
export const bills = (): Promise<unknown[][]> =>
  harness.rows(
    'SELECT round(epoch(now()::TIMESTAMP - "at") / 86400)::INTEGER AS days, who, name, city, _matched FROM purchases ORDER BY days, who',
  );
export const problems = async (): Promise<unknown[]> =>
  (await harness.engine.verify()).checks.filter(({ ok }) => !ok);
