/** Engines that die over a log that is being written, and the ledger that tells whether anything came of it. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn, setTimeout as delay } from "node:timers/promises";
import { directoryStore } from "@weir/log";
import type { SegmentWriter } from "@weir/log";
import {
  ObligationLedger,
  TestChild,
  Workload,
  bundled,
  crashProgram,
  durableRecorder,
  logLines,
  losePower,
  observe,
  seeded,
} from "@weir/testkit";
import type { Chances, ChildEnd, Variant, WorkRecord } from "@weir/testkit";
import type { Defect } from "./crash-defects.fixture.ts";
import type { AskedTask, EngineTask } from "./crash-engine.fixture.ts";
import { Engine } from "./engine.ts";
import type { EngineSettings, ResolvedSettings } from "./settings.ts";

/** Bounds so low that every kind of upkeep comes up within seconds. */
export const crashSettings: EngineSettings = {
  commitAge: "20ms",
  // A commit takes this much even where the engine is far behind, so that it spans three hours of receipt: eight runs of ids
  // are there, and merged, before they are as old as the horizon.
  batchBytes: 60_000,
  dedupHorizon: "4d",
  logRetentionBytes: 40_000,
  memoryLimit: "512MB",
};
export const crashInternals: Partial<ResolvedSettings> = {
  recentIds: 50,
  upkeepEveryMs: 50,
  taskChunkRows: 20,
};

const source = new URL("crash-engine.fixture.ts", import.meta.url);
/** Of the log of one writer; past it, it waits for the engine. */
const mostWaitingBytes = 300_000;
/** Between two appends. */
const receiptStepUs = 20 * 60_000_000;

export interface EngineRun {
  /** Where the engine is to die, `name:n`. */
  readonly failpoint?: string;
  readonly variant?: Variant;
  readonly defect?: Defect;
  readonly settings?: EngineSettings;
  readonly internals?: Partial<ResolvedSettings>;
  /** A task to ask for. */
  readonly ask?: AskedTask;
  readonly env?: Readonly<Record<string, string>>;
  readonly preload?: readonly URL[];
}

/** One data directory, its log, and what is owed for it. */
export class EngineCampaign {
  readonly dataDir = mkdtempSync(join(tmpdir(), "weir-crash-"));
  readonly #notes = `${this.dataDir}-notes`;
  readonly ledger = new ObligationLedger();
  readonly chances: Chances;
  /** What every engine is started with. */
  environment: Pick<EngineRun, "env" | "preload"> = {};
  /** The variant of the project that the state's tables were built by. */
  storedVariant: Variant = "reference";
  readonly #store = directoryStore(join(this.dataDir, "log"), { sealAfterMs: 15, minFreeBytes: 0 });
  readonly #workload: Workload;
  readonly #feeds: { stopped: boolean; done: Promise<void> }[] = [];
  /** Receipt runs faster than time, so that ids grow old within a campaign. */
  #receivedUs = Date.now() * 1000;
  #records = 0;
  readonly #sent: WorkRecord[] = [];

  constructor(seed: number) {
    this.chances = seeded(seed);
    this.#workload = new Workload(this.chances);
  }

  get otherVariant(): Variant {
    return this.storedVariant === "reference" ? "other" : "reference";
  }

  get records(): number {
    return this.#records;
  }

  /** Appends one batch and waits until it is durable. */
  async append(writer: SegmentWriter, most = 30): Promise<void> {
    const records = this.#workload.batch(most);
    this.#receivedUs += receiptStepUs;
    this.#sent.push(...records);
    await this.#send(writer, records);
  }

  async #send(writer: SegmentWriter, records: readonly WorkRecord[]): Promise<void> {
    const { lines, lengths } = logLines(records, this.#receivedUs);
    for (const record of records) this.ledger.sending(record);
    await writer.append(lines, lengths);
    for (const record of records) this.ledger.acknowledged(record);
    this.#records += records.length;
  }

  /** Appends so many batches, each in a segment of its own, while no engine needs to run. */
  async fill(batches: number): Promise<void> {
    const writer = await this.#store.openWriter("web", "fill");
    for (let i = 0; i < batches; i++) {
      await this.append(writer);
      await writer.seal();
    }
    await writer.close();
  }

  /** Sends everything that was ever sent once more: nothing of it is new. */
  async resend(): Promise<void> {
    const writer = await this.#store.openWriter("web", "again");
    for (let at = 0; at < this.#sent.length; at += 50)
      await this.#send(writer, this.#sent.slice(at, at + 50));
    await writer.close();
  }

  /** Keeps appending with two writers until `quiet`. */
  async feed(): Promise<void> {
    for (const name of ["c0", "c1"]) {
      const writer = await this.#store.openWriter("web", name);
      const feed = { stopped: false, done: Promise.resolve() };
      feed.done = (async () => {
        while (!feed.stopped) {
          await this.append(writer);
          // The load: what an engine keeps up with on a busy machine.
          do await delay(40);
          while (!feed.stopped && logBytes(join(this.dataDir, "log", "web", name)) > mostWaitingBytes);
        }
        await writer.close();
      })();
      this.#feeds.push(feed);
    }
  }

  async quiet(): Promise<void> {
    for (const feed of this.#feeds) feed.stopped = true;
    await Promise.all(this.#feeds.splice(0).map(({ done }) => done));
  }

  async startEngine({
    failpoint = "",
    variant = this.storedVariant,
    defect,
    settings,
    internals,
    ask,
    env = this.environment.env,
    preload = this.environment.preload ?? [],
  }: EngineRun = {}): Promise<TestChild> {
    const task: EngineTask = {
      dataDir: this.dataDir,
      variant,
      settings: { ...crashSettings, ...settings },
      internals: { ...crashInternals, ...internals },
      ...(defect === undefined ? {} : { defect }),
      ...(ask === undefined ? {} : { ask }),
    };
    return TestChild.start(await bundled(source), {
      args: [JSON.stringify(task)],
      env: { WEIR_FAILPOINT: failpoint, ...env },
      preload,
    });
  }

  /** Takes the power away after the last kill: what the engine had not made durable is gone. */
  losePower(): void {
    const { chances, dataDir } = this;
    const own = new Set(
      ["weir.duckdb", "weir.duckdb.wal", "tmp"].map((name) => join(dataDir, "state", name)),
    );
    // The log's writer is this process and goes on; DuckDB's files are DuckDB's to keep.
    const trusted = (path: string): boolean => path === join(dataDir, "log") || own.has(path);
    losePower(dataDir, { notes: this.#notes, chances, trusted });
  }

  /**
   * What an engine must be started with for `losePower` to know what it made durable.
   *
   * @param lying a planted defect: syncing paths that this matches is a lie
   */
  async recorded(lying?: RegExp): Promise<Pick<EngineRun, "env" | "preload">> {
    mkdirSync(this.#notes, { recursive: true });
    return {
      preload: [await bundled(durableRecorder)],
      env: { WEIR_TEST_DURABLE: this.#notes, WEIR_TEST_LYING_SYNC: lying?.source ?? "" },
    };
  }

  /** Runs an engine until it dies at its failpoint. Throws if it does not get there. */
  async dieAt(failpoint: string, run: EngineRun = {}): Promise<void> {
    const engine = await this.startEngine({ ...run, failpoint });
    const end = await engine.ending(300_000).catch((error: unknown) => {
      throw new Error(`${failpoint} was never reached`, { cause: error });
    });
    mustBeKilled(failpoint, end, engine);
  }

  /** Kills engines at one step after the other, each with records to load beside. */
  async dieInTurn(failpoints: readonly string[], run: EngineRun): Promise<void> {
    for (const failpoint of failpoints) {
      await this.fill(2);
      await this.dieAt(failpoint, run);
    }
  }

  /** Kills an engine at some moment of its start or of its first commits. */
  async dieSomewhen(run: EngineRun = {}): Promise<void> {
    const engine = await this.startEngine(run);
    const commits = this.chances.below(6);
    if (commits === 0) await engine.saying("open");
    let left = commits;
    if (left > 0) await engine.saying("commit", () => --left === 0);
    for (let turns = this.chances.below(4000); turns > 0; turns--) await nextTurn();
    mustBeKilled(`after ${commits} commits`, await engine.kill(), engine);
  }

  /** Opens an engine in this process, drains the log and says what is wrong; nothing if all is as it should be. */
  async problems(): Promise<string[]> {
    await this.quiet();
    const store = directoryStore(join(this.dataDir, "log"), { minFreeBytes: 0 });
    const program = crashProgram("reference");
    const engine = await Engine.open(
      { dataDir: this.dataDir, program, store, settings: crashSettings },
      crashInternals,
    );
    try {
      await engine.drain({ timeoutMs: 120_000 });
      const isAtWork = async (): Promise<boolean> =>
        (await engine.tasks.list()).some(({ state }) => state === "waiting" || state === "running");
      while (await isAtWork()) {
        const broken = await Promise.race([engine.failed, delay(20)]);
        if (broken !== undefined) throw broken;
      }
      const failed = (await engine.tasks.list()).filter(({ state }) => state === "failed");
      if (failed.length > 0) return failed.map(({ id, kind, error }) => `task ${id}, ${kind}: ${error}`);
      const { checks } = await engine.verify();
      const broken = checks.filter(({ ok }) => !ok).map(({ name, detail }) => `verify, ${name}: ${detail}`);
      return [...broken, ...this.ledger.problems(await observe(engine))];
    } finally {
      await engine.stop();
    }
  }

  async close(): Promise<void> {
    await this.quiet();
    for (const path of [this.dataDir, this.#notes]) rmSync(path, { recursive: true, force: true });
  }
}

function logBytes(directory: string): number {
  const sizes = readdirSync(directory).map((name) =>
    statSync(join(directory, name), { throwIfNoEntry: false }),
  );
  return sizes.reduce((sum, stats) => sum + (stats?.size ?? 0), 0);
}

function mustBeKilled(what: string, { code, signal }: ChildEnd, engine: TestChild): void {
  if (signal === "SIGKILL") return;
  const said = engine.said.slice(-2).map((line) => JSON.stringify(line).slice(0, 1000));
  throw new Error(
    `the engine ended with ${signal ?? code}, not killed ${what}\n${said.join("\n")}\n${engine.noise}`,
  );
}
