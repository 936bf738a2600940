/** For tests of replays: a project that changes, and records that each of its versions judges otherwise. */
import { compileProject, count, entity, identity, rollup, sum } from "@weir/compile";
import type { Program } from "@weir/compile";
import { Type, contract, timestamp } from "@weir/contract";
import type { Harness, LogRecord } from "../harness.fixture.ts";
import type { ReplayRequest } from "../replay/request.ts";
import type { TaskInfo } from "./ledger.ts";

/** Takes sales of amounts in [least, most] only. */
function project(least: number, most: number): Program {
  const Sold = contract("sold", {
    version: "1.0.0",
    owner: "test",
    id: "id",
    time: "at",
    fields: Type.Object({
      id: Type.String(),
      at: timestamp(),
      who: Type.String(),
      sku: Type.String(),
      amount: Type.Integer({ minimum: least, maximum: most }),
    }),
  });
  return compileProject({
    name: "p",
    sources: { web: { contracts: [Sold] } },
    tables: {
      totals: rollup({ from: Sold, by: "sku", measures: { n: count(), value: sum("amount") } }),
      last: entity({ from: Sold, key: "sku" }),
      people: identity({ ids: [[Sold, ["who"]]] }),
    },
  });
}
export const before = project(0, 50);
export const after = project(20, 100);

export const hour = 3_600_000;
export const start = Math.floor(Date.now() / hour) * hour - 10 * hour;
export const at = (hours: number): string => new Date(start + hours * hour).toISOString();

interface Sale {
  readonly id: string;
  readonly minute: number;
  readonly amount: number;
  readonly who?: string;
}
const received = (hours: number, { id, minute, amount, who = `w${amount % 5}` }: Sale): LogRecord => ({
  source: "web",
  sent: "sold",
  receivedUs: (start + hours * hour) * 1000,
  text: JSON.stringify({
    id,
    at: new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString(),
    who,
    sku: `k${minute % 3}`,
    amount,
  }),
});

/** By a seed: amounts that one project takes and the other does not, and few ids, so that many are met again. */
export function records(count_: number, seed: number, hours: () => number): LogRecord[] {
  let state = seed;
  const below = (n: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  return Array.from({ length: count_ }, () =>
    received(hours(), { id: `s${below(count_ / 2)}`, minute: below(40), amount: below(110) }),
  );
}

export const state = async (of: Harness): Promise<Record<string, unknown>> => ({
  failed: (await of.engine.verify()).checks.filter(({ ok }) => !ok),
  sold: await of.rows('SELECT id, "at", who, sku, amount::INTEGER FROM sold ORDER BY id'),
  quarantine: await of.rows("SELECT text, reason, violations FROM quarantine ORDER BY ALL"),
  totals: await of.rows("SELECT * FROM totals ORDER BY ALL"),
  last: await of.rows('SELECT sku, id, "at", amount FROM last ORDER BY ALL'),
  people: await of.rows("SELECT * FROM people ORDER BY ALL"),
  counts: await countsOf(of),
});
const countsOf = async (of: Harness): Promise<unknown> => (await of.engine.status()).counts;

export const internals = { upkeepEveryMs: 20, quietMs: 0, taskMemory: "256MB", taskChunkRows: 25 };

/** Waits until a task has ended or is ready. */
export async function settled(of: Harness, id: number): Promise<TaskInfo> {
  for (;;) {
    const task = await of.engine.tasks.show(id);
    if (task.state !== "waiting" && task.state !== "running") return task;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
/** Asks for a replay, and waits until it has ended or is ready. */
export const replay = async (of: Harness, request: ReplayRequest): Promise<TaskInfo> =>
  await settled(of, (await of.engine.tasks.replay({ share: 1, ...request }, "tester")).id);
