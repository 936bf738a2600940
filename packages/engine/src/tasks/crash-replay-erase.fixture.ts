/** Persons who are erased one after the other, with replays under way that put their records through the project again. */
import { setTimeout as delay } from "node:timers/promises";
import { TestChild, bundled } from "@weir/testkit";
import { expect } from "vitest";
import { Harness } from "../harness.fixture.ts";
import type { LogRecord } from "../harness.fixture.ts";
import { scan } from "../privacy/byte-scan.fixture.ts";
import { erasingInternals, everything, projects, taken } from "./erasing-task.fixture.ts";
import type { ErasingTask, ProjectName } from "./erasing-task.fixture.ts";
import { start } from "./replay.fixture.ts";

interface Sale {
  readonly id: string;
  readonly minute: number;
  readonly who: string;
  readonly amount: number;
}

const person = (n: number): string => `person-${String(n).padStart(2, "0")}-jane`;
const people = 24;

/** Of each person, ids of their own; each id comes a few times, at different minutes. */
function sales(seed: number): Sale[] {
  let state = seed;
  const below = (n: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  return Array.from({ length: 240 }, (_, i) => {
    const n = below(80);
    return { id: `s${n}`, minute: i * 3 + below(3), who: person(n % people), amount: below(110) };
  });
}

const lineOf = ({ id, minute, who, amount }: Sale, i: number): LogRecord => ({
  source: "web",
  sent: "sold",
  receivedUs: (start + i * 1000) * 1000,
  text: JSON.stringify({
    id,
    at: new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString(),
    who,
    sku: `k${minute % 3}`,
    amount,
  }),
});

/** One data directory, and what must be in it. */
export class Erasing {
  readonly #harness = new Harness({ internals: erasingInternals });
  readonly #sales: readonly Sale[];
  readonly #erased = new Set<string>();
  #next = 0;

  constructor(seed: number) {
    this.#sales = sales(seed);
  }

  /** Loads everything by the project `before`. */
  async begin(): Promise<void> {
    await this.#open("before");
    const lines = this.#sales.map(lineOf);
    for (let at = 0; at < lines.length; at += 40) await this.#harness.load(lines.slice(at, at + 40));
    await this.#harness.close();
  }

  /** Somebody who has not been erased yet, from now on to be missing. */
  someone(): string {
    const who = person(this.#next++);
    this.#erased.add(who);
    return who;
  }

  /** Runs an engine until it dies, or has done what it is asked for. */
  async run(failpoint: string, task: Omit<ErasingTask, "dataDir">): Promise<"killed" | "done"> {
    const source = await bundled(new URL("crash-replay-erase-child.fixture.ts", import.meta.url));
    const child = TestChild.start(source, {
      args: [JSON.stringify({ dataDir: this.#harness.dataDir, ...task } satisfies ErasingTask)],
      env: { WEIR_FAILPOINT: failpoint },
    });
    const { code, signal } = await child.ending(180_000);
    if (signal === "SIGKILL") return "killed";
    if (code === 0) return "done";
    throw new Error(`${failpoint}: ${JSON.stringify(child.said.slice(-3))}\n${child.noise}`);
  }

  async #open(project: ProjectName): Promise<void> {
    await this.#harness.open(projects[project]);
    this.#harness.engine.start();
  }

  /**
   * Waits until everything has ended, and looks at what there is: nothing of the persons, and of all others what a project says, once
   * a replay by it has been swapped.
   *
   * @param project the one that tasks were asked with
   * @param next the one to replay by
   * @returns the last task that swapped a replay
   */
  async check(project: ProjectName, who: string, next = project): Promise<number> {
    const of = this.#harness;
    await this.#open(project);
    // It goes on by itself, or was never noted.
    const asked = { identifiers: [{ value: who }], allowMany: "a test" };
    expect((await of.engine.erasures.erase(asked)).state).toMatch(/erased|complete/);
    await this.#ended();
    await this.#missing();
    const last = (await of.engine.tasks.list()).find(({ kind }) => kind === "replay");
    if (last?.state === "failed") expect(last.error).toContain("erased");
    if (next !== project) await this.#open(next);
    const { tasks } = of.engine;
    const { id } = await tasks.replay(everything, "test");
    await this.#ended();
    expect(await tasks.show(id)).toMatchObject({ state: "done", error: null });
    await this.#missing();
    await this.#others(next);
    await this.#open(next);
    await of.close();
    expect(await scan(of.dataDir, [who])).toEqual([]);
    return id;
  }

  async #ended(): Promise<void> {
    for (;;) {
      const open = (await this.#harness.engine.tasks.list()).filter(({ state }) =>
        /waiting|running|ready/.test(state),
      );
      if (open.length === 0) return;
      await delay(10);
    }
  }

  async #missing(): Promise<void> {
    const of = this.#harness;
    for (const table of ["sold", "raw", "quarantine", "people", "last", "last_history"]) {
      const rows = JSON.stringify(await of.rows(`SELECT t::VARCHAR FROM ${table} t`));
      for (const who of this.#erased) expect(rows.includes(who), `${who} in ${table}`).toBe(false);
    }
    expect((await of.engine.verify()).checks.filter(({ ok }) => !ok)).toEqual([]);
  }

  /** By the records themselves. */
  async #others(project: ProjectName): Promise<void> {
    const [least, most] = taken[project];
    const left = this.#sales.filter(({ who }) => !this.#erased.has(who));
    const valid = left.filter(({ amount }) => amount >= least && amount <= most);
    const winners = new Map<string, Sale>();
    for (const sale of valid) {
      const other = winners.get(sale.id);
      if (other === undefined || sale.minute < other.minute) winners.set(sale.id, sale);
    }
    const loaded = [...winners.values()];
    const totals = new Map<string, { n: number; value: number; last: Sale }>();
    for (const sale of loaded) {
      const sku = `k${sale.minute % 3}`;
      const { n, value, last } = totals.get(sku) ?? { n: 0, value: 0, last: sale };
      totals.set(sku, {
        n: n + 1,
        value: value + sale.amount,
        last: sale.minute > last.minute ? sale : last,
      });
    }
    const rows = (sql: string): Promise<unknown[][]> => this.#harness.rows(sql);
    const skus = [...totals].sort(([a], [b]) => (a < b ? -1 : 1));
    expect(await rows("SELECT id, who, amount::INTEGER FROM sold ORDER BY id")).toEqual(
      loaded
        .map(({ id, who, amount }) => [id, who, amount])
        .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
    );
    expect(await rows("SELECT sku, n::INTEGER, value::INTEGER FROM totals ORDER BY sku")).toEqual(
      skus.map(([sku, { n, value }]) => [sku, n, value]),
    );
    expect(await rows("SELECT sku, id FROM last ORDER BY sku")).toEqual(
      skus.map(([sku, { last }]) => [sku, last.id]),
    );
    // What was a duplicate of an erased record stays counted as one.
    const counted =
      "SELECT sum(received)::INTEGER, sum(loaded)::INTEGER, sum(quarantined)::INTEGER FROM weir.counts";
    expect(await rows(counted)).toEqual([[this.#sales.length, loaded.length, left.length - valid.length]]);
  }

  end(): Promise<void> {
    return this.#harness.end();
  }
}
