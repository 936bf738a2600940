/** Loads, replays, undoings, erasures and restarts in an order that a seed gives, and what must have come of them. */
import { setTimeout as delay } from "node:timers/promises";
import { compileProject, count, entity, identity, rollup, sum } from "@weir/compile";
import type { Program } from "@weir/compile";
import { Type, contract, timestamp } from "@weir/contract";
import { seeded } from "@weir/testkit";
import type { Chances } from "@weir/testkit";
import { expect } from "vitest";
import { Harness } from "../harness.fixture.ts";
import { erasingInternals, taken } from "./erasing-task.fixture.ts";
import type { ProjectName } from "./erasing-task.fixture.ts";
import { Model, contracts, epochSeconds, textOf } from "./replay-model.fixture.ts";
import type { Event, Interval, Sale } from "./replay-model.fixture.ts";
import { at, hour, settled, start } from "./replay.fixture.ts";

/** Two contracts, which have the same ids: texts of digits, and integers. */
function project([least, most]: readonly [number, number]): Program {
  const rest = {
    at: timestamp(),
    who: Type.String(),
    sku: Type.String(),
    amount: Type.Integer({ minimum: least, maximum: most }),
  };
  const about = { version: "1.0.0", owner: "test", id: "id", time: "at" } as const;
  const Sold = contract("sold", { ...about, fields: Type.Object({ id: Type.String(), ...rest }) });
  const Back = contract("back", { ...about, fields: Type.Object({ id: Type.Integer(), ...rest }) });
  return compileProject({
    name: "p",
    sources: { web: { contracts: [Sold, Back] } },
    tables: {
      totals: rollup({ from: Sold, by: "sku", measures: { n: count(), value: sum("amount") } }),
      last: entity({ from: Sold, key: "sku" }),
      people: identity({
        ids: [
          [Sold, ["who"]],
          [Back, ["who"]],
        ],
      }),
    },
  });
}
const projects = { before: project(taken.before), after: project(taken.after) };

const hours = 9;
const people = 12;
const everything: Interval = [-1, hours + 0.9];

export class ReplayCampaign {
  readonly #chances: Chances;
  readonly #harness: Harness;
  readonly #model = new Model();
  readonly #sent: Sale[] = [];
  readonly #seconds = new Set<number>();
  readonly #ids: number;
  #erased = 0;
  #project: ProjectName = "before";
  /** The last replay that was swapped, while it can be undone. */
  #last: { readonly task: number; readonly event: Event; readonly project: ProjectName } | undefined;
  /** What happened, for whom it fails. */
  readonly log: string[] = [];

  /** @param given in place of what the seed chooses: how many ids records have, and how many become a run */
  constructor(seed: number, given: { readonly ids?: number; readonly recentIds?: number } = {}) {
    const chances = seeded(seed);
    this.#chances = chances;
    const ids = chances.pick([15, 40, 120]);
    this.#ids = given.ids ?? ids;
    const recentIds = chances.pick([5, 12, 25, 50]);
    this.#harness = new Harness({
      internals: {
        ...erasingInternals,
        taskChunkRows: chances.pick([25, 500]),
        upkeepEveryMs: 5,
        recentIds: given.recentIds ?? recentIds,
        largestRun: chances.pick([60, 2 ** 29]),
      },
    });
  }

  async run(steps: number): Promise<void> {
    await this.#open("before");
    await this.#load(40);
    for (let i = 0; i < steps; i++) await this.#step();
    // In the end by one project alone.
    await this.#open(this.#chances.pick(["before", "after"]));
    await this.#replay(everything, "at once");
    await this.#check();
    for (let i = 0; i < 2; i++) {
      await this.#load(30);
      await this.#check();
      await this.#open(this.#project);
    }
    expect((await this.#harness.engine.verify()).checks.filter(({ ok }) => !ok)).toEqual([]);
  }

  end(): Promise<void> {
    return this.#harness.end();
  }

  async #step(): Promise<void> {
    const chances = this.#chances;
    const from = chances.below(hours);
    const interval = chances.pick([everything, [from, from + 1 + chances.below(hours - from)]] as const);
    const which = chances.below(100);
    if (which < 30) await this.#load(1 + chances.below(25));
    else if (which < 40) await this.#open(chances.pick(["before", "after"]));
    else if (which < 75)
      await this.#replay(interval, chances.pick(["at once", "later", "stopped", "erased"]));
    else if (which < 90) await this.#undo(chances.pick([true, false]));
    else if (this.#erased < people - 4) await this.#erase(chances.pick([true, false]));
    await this.#check();
  }

  #sale(): Sale {
    const chances = this.#chances;
    const received = chances.below(hours * 100) / 100;
    // The same one again, maybe of somebody who was erased meanwhile.
    if (this.#sent.length > 0 && chances.in100(20)) return { ...chances.pick(this.#sent), received };
    let second = chances.below(1_000_000);
    while (this.#seconds.has(second)) second++;
    this.#seconds.add(second);
    return {
      contract: chances.pick(contracts),
      id: String(chances.below(this.#ids)),
      second,
      who: person(chances.below(people)),
      amount: chances.below(110),
      received,
    };
  }

  async #load(count: number): Promise<void> {
    const sales = Array.from({ length: count }, () => this.#sale());
    this.#sent.push(...sales);
    this.log.push(`load ${count}`);
    await this.#harness.load(
      sales.map((sale) => ({
        source: "web",
        sent: sale.contract,
        receivedUs: Math.round((start + sale.received * hour) * 1000),
        text: textOf(sale),
      })),
    );
    this.#model.events.push({ kind: "load", project: this.#project, sales });
  }

  async #open(project: ProjectName): Promise<void> {
    this.log.push(`open ${project}`);
    this.#project = project;
    await this.#harness.open(projects[project]);
    this.#harness.engine.start();
  }

  async #replay([from, to]: Interval, how: "at once" | "later" | "stopped" | "erased"): Promise<void> {
    this.log.push(`replay ${from} ${to} ${how}`);
    const chances = this.#chances;
    const of = this.#harness;
    const { id: task } = await of.engine.tasks.replay(
      { from: at(from), to: at(to), share: 1, swap: how === "later" ? "asked" : "always" },
      "tester",
    );
    const event: Event = { kind: "replay", project: this.#project, interval: [from, to] };
    if (how === "later") {
      expect(await settled(of, task)).toMatchObject({ state: "ready" });
      // What comes meanwhile is judged by the same project.
      await this.#load(1 + chances.below(25));
      await of.engine.tasks.swap(task);
    }
    if (how === "stopped") {
      await delay(chances.below(250));
      await this.#open(this.#project);
    }
    const who = how === "erased" && this.#erased < people - 4 ? person(this.#erased++) : undefined;
    if (who !== undefined) {
      await delay(chances.below(250));
      await this.#harness.engine.erasures.erase({ identifiers: [{ value: who }], allowMany: "a test" });
    }
    const { state, error } = await settled(of, task);
    this.log.push(`  ${state}`);
    if (state === "failed" && who !== undefined) expect(error).toContain("erased");
    else {
      expect([state, error]).toEqual(["done", null]);
      this.#model.events.push(event);
      this.#last = { task, event, project: this.#project };
    }
    if (who !== undefined) {
      this.#model.events.push({ kind: "erase", who });
      this.#last = undefined;
    }
  }

  async #undo(isStopped: boolean): Promise<void> {
    const last = this.#last;
    if (last === undefined || last.project !== this.#project) return;
    this.#last = undefined;
    this.log.push(`undo ${last.task}${isStopped ? " stopped" : ""}`);
    const of = this.#harness;
    const { id } = await of.engine.tasks.undo(last.task, "tester");
    if (isStopped) {
      await delay(this.#chances.below(250));
      await this.#open(this.#project);
    } else await this.#load(1 + this.#chances.below(25));
    expect(await settled(of, id)).toMatchObject({ state: "done", error: null });
    this.#model.undo(last.event);
    await expect(of.engine.tasks.undo(last.task, "tester")).rejects.toMatchObject({ code: "task_not_ready" });
  }

  async #erase(isStopped: boolean): Promise<void> {
    const who = person(this.#erased++);
    this.log.push(`erase ${who}${isStopped ? " stopped" : ""}`);
    const asked = { identifiers: [{ value: who }], allowMany: "a test" };
    if (isStopped) {
      const first = this.#harness.engine.erasures.erase(asked).catch(() => undefined);
      await delay(this.#chances.below(150));
      await this.#open(this.#project);
      await first;
    }
    expect((await this.#harness.engine.erasures.erase(asked)).state).toMatch(/erased|complete/);
    this.#model.events.push({ kind: "erase", who });
    this.#last = undefined;
  }

  async #check(): Promise<void> {
    const rows = (sql: string): Promise<unknown[][]> => this.#harness.rows(sql);
    const second = `epoch("at")::BIGINT - ${epochSeconds}`;
    const counts = "sum(received)::INTEGER, sum(loaded)::INTEGER, sum(quarantined)::INTEGER";
    const texts = async (sql: string): Promise<string[]> =>
      (await rows(sql)).map(([one]) => String(one)).toSorted();
    expect({
      totals: await rows("SELECT sku, n::DOUBLE, value::DOUBLE FROM totals ORDER BY sku"),
      last: await rows(`SELECT sku, (${second})::DOUBLE FROM last ORDER BY sku`),
    }).toEqual(this.#model.tables("sold"));
    for (const name of contracts)
      expect(
        {
          rows: await texts(`SELECT concat_ws(' ', id, ${second}, who, amount) FROM ${name}`),
          quarantine: await texts(`SELECT text FROM quarantine WHERE contract = '${name}'`),
          counts: await rows(`SELECT ${counts} FROM weir.counts WHERE contract = '${name}'`),
        },
        name,
      ).toEqual(this.#model.records(name));
  }
}

const person = (n: number): string => `person-${String(n).padStart(2, "0")}-jane`;
