/** A deployment that dies in parts and as a whole while clients send to it, and the ledger of what it owes them. */
import { appendFileSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  ObligationLedger,
  Workload,
  bundled,
  crashProjectFile,
  durableRecorder,
  losePower,
  observe,
  seeded,
} from "@weir/testkit";
import type { Asker, Chances, WorkRecord } from "@weir/testkit";
import { Sandbox, allDead, until } from "./sandbox.fixture.ts";
import type { Instance } from "./sandbox.fixture.ts";

/** Commits and segments come fast, and old segments are removed, so that a kill meets all of it. */
const engineSettings = { commitAge: "100ms", logRetentionBytes: 200_000, batchBytes: 2_000_000 };

/** Runs an action that reads the environment before it first waits. */
function inEnvironment<T>(env: Readonly<Record<string, string>>, action: () => T): T {
  const before = { ...process.env };
  Object.assign(process.env, env);
  try {
    return action();
  } finally {
    process.env = before;
  }
}

export interface TreeOptions {
  readonly seed: number;
  /** Also cut the power after the whole tree was killed. */
  readonly powerFails?: boolean;
  /** A planted defect: syncing paths that this matches is a lie. */
  readonly lying?: RegExp;
}

export class Tree {
  readonly chances: Chances;
  readonly ledger = new ObligationLedger();
  readonly #sandbox = new Sandbox({
    "weir.config.ts": crashProjectFile({ engine: engineSettings }),
  });
  readonly #notes: string | undefined;
  readonly #lying: RegExp | undefined;
  readonly #clients: { stopped: boolean; done: Promise<void> }[] = [];
  readonly #workload: Workload;
  #instance: Instance | undefined;
  kills = 0;

  constructor({ seed, powerFails = false, lying }: TreeOptions) {
    this.chances = seeded(seed);
    this.#workload = new Workload(this.chances);
    this.#notes = powerFails ? mkdtempSync(join(tmpdir(), "weir-notes-")) : undefined;
    this.#lying = lying;
  }

  get instance(): Instance {
    if (this.#instance === undefined) throw new Error("nothing runs");
    return this.#instance;
  }

  async start(failpoint = ""): Promise<void> {
    const env: Record<string, string> = { WEIR_FAILPOINT: failpoint };
    if (this.#notes !== undefined) {
      env["NODE_OPTIONS"] = `--import ${(await bundled(durableRecorder)).href}`;
      env["WEIR_TEST_DURABLE"] = this.#notes;
      env["WEIR_TEST_LYING_SYNC"] = this.#lying?.source ?? "";
    }
    this.#instance = await inEnvironment(env, () => this.#sandbox.up(["up", "--collectors", "2"]));
  }

  /** Starts clients that go on until `quiet`, whatever runs. */
  send(clients = 3): void {
    for (let i = 0; i < clients; i++) {
      const client = { stopped: false, done: Promise.resolve() };
      client.done = this.#client(client);
      this.#clients.push(client);
    }
  }

  /** Sends batch after batch, each as often as it takes to have it acknowledged, as SDKs do. */
  async #client(self: { stopped: boolean }): Promise<void> {
    while (!self.stopped) {
      const records = this.#workload.batch(20);
      for (;;) {
        for (const record of records) this.ledger.sending(record);
        if (await this.#post(records)) break;
        await delay(20);
      }
      for (const record of records) this.ledger.acknowledged(record);
      // A pace: flat out, clients take the processor that a restart needs.
      await delay(10);
    }
  }

  /** Whether the records were acknowledged. */
  async #post(records: readonly WorkRecord[]): Promise<boolean> {
    try {
      const reply = await fetch(`${this.#instance?.url}/v1/events`, {
        method: "POST",
        headers: { "content-type": "application/x-ndjson" },
        body: records.map(({ text }) => text).join("\n"),
        signal: AbortSignal.timeout(20_000),
      });
      const body = await reply.text();
      if (reply.status < 500 && reply.status !== 202) throw new Error(`HTTP ${reply.status}: ${body}`);
      return reply.status === 202;
    } catch (error) {
      if (error instanceof Error && error.message.startsWith("HTTP")) throw error;
      return false;
    }
  }

  /** Waits until so many more records are acknowledged. */
  async progress(records: number): Promise<void> {
    const wanted = this.ledger.acknowledgements + records;
    await until(() => this.ledger.acknowledgements >= wanted, 120_000);
  }

  /** Kills one process of the tree, which its supervisor starts again. */
  async killChild(name: string): Promise<void> {
    const pid = this.instance.pidOf(name);
    process.kill(pid, "SIGKILL");
    this.kills++;
    await this.instance.restarted(name, pid).catch((error: unknown) => {
      const logs = this.instance.logs.slice(-20).map((line) => JSON.stringify(line));
      throw new Error(`${name} did not come back\n${logs.join("\n")}`, { cause: error });
    });
  }

  /** Waits until processes of the tree have died of their failpoint so many times. */
  async diedByThemselves(times: number): Promise<void> {
    const restarts = (): number =>
      this.instance.file().processes.reduce((sum, process) => sum + process.restarts, 0);
    await until(() => restarts() >= times, 120_000);
    this.kills += times;
  }

  /** Holds the engine, so that what is acknowledged from now on is in the log only. */
  holdEngine(): void {
    process.kill(this.instance.pidOf("engine"), "SIGSTOP");
  }

  /** Kills the supervisor alone; its children have to end by themselves. */
  async killSupervisor(): Promise<void> {
    const processes = this.instance.identities();
    await this.instance.stop("SIGKILL");
    this.kills++;
    await until(() => allDead(processes), 120_000);
    this.#instance = undefined;
  }

  /** Kills every process at once, as a power cut does. */
  async killAll(): Promise<void> {
    const processes = this.instance.identities();
    for (const { pid } of processes) process.kill(pid, "SIGKILL");
    await this.instance.stop("SIGKILL");
    this.kills += processes.length + 1;
    await until(() => allDead(processes), 120_000);
    this.#instance = undefined;
    if (this.#notes !== undefined) this.#cutPower(this.#notes);
    else this.#tearTails();
  }

  #cutPower(notes: string): void {
    const { dataDir } = this.#sandbox;
    const trusted = (path: string): boolean =>
      /\/state\/(weir\.duckdb.*|tmp)$/.test(path) || path === join(dataDir, "run");
    const mercy = this.#lying === undefined ? {} : { mercy: 0 };
    losePower(dataDir, { notes, chances: this.chances, trusted, ...mercy });
  }

  /** Leaves behind open segments what a write that a crash cut off leaves: the beginning of a group. */
  #tearTails(): void {
    const source = join(this.#sandbox.dataDir, "log", "web");
    for (const writer of existsSync(source) ? readdirSync(source) : []) {
      for (const name of readdirSync(join(source, writer))) {
        if (!name.endsWith(".open") || this.chances.in100(50)) continue;
        const torn = `1\t1700000000000000\tproduct_viewed\t6\t0\t\t{"type":"product_viewed","mark":0`;
        appendFileSync(join(source, writer, name), torn.slice(0, 1 + this.chances.below(torn.length)));
      }
    }
  }

  async quiet(): Promise<void> {
    for (const client of this.#clients) client.stopped = true;
    await Promise.all(this.#clients.splice(0).map(({ done }) => done));
  }

  /** Ends the load, drains, and says what is wrong; nothing if all is as it should be. */
  async problems(): Promise<string[]> {
    await this.quiet();
    const api = async (path: string, body?: object): Promise<unknown> => {
      const reply = await fetch(`${this.instance.url}${path}`, {
        ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
        headers: { "content-type": "application/json" },
      });
      if (!reply.ok) throw new Error(`${path}: ${reply.status} ${await reply.text()}`);
      return await reply.json();
    };
    await api("/api/drain", { timeoutMs: 120_000 });
    const { checks } = (await api("/api/verify")) as {
      checks: { name: string; ok: boolean; detail: string }[];
    };
    const failed = checks.filter(({ ok }) => !ok).map(({ name, detail }) => `verify, ${name}: ${detail}`);
    const asker: Asker = {
      query: async (sql, options) =>
        (await api("/api/query", { sql, ...options })) as Awaited<ReturnType<Asker["query"]>>,
    };
    return [...failed, ...this.ledger.problems(await observe(asker))];
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.stopped = true;
    if (this.#instance !== undefined) await this.#instance.stop("SIGTERM");
    this.#sandbox.dispose();
    if (this.#notes !== undefined) rmSync(this.#notes, { recursive: true, force: true });
  }
}
