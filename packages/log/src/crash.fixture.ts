/** Runs writers that die, and holds the log to what they said before. */
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { directoryStore } from "./directory.ts";
import { losePower, recordingFileSystem } from "./power-loss.fixture.ts";
import type { Defect } from "./power-loss.fixture.ts";
import { readStream } from "./records.fixture.ts";
import type { ChildTask } from "./writer.child.ts";
import { temporaryDirectory } from "./temporary-directory.fixture.ts";

export interface Run {
  /** Where the writer is to die: `name:n`. */
  readonly failpoint?: string;
  /** Kill it after so many acknowledged appends. */
  readonly killAfterAcks?: number;
  readonly defect?: Defect;
}

/** A generator of numbers that a seed repeats (mulberry32). */
export function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** Everything that was acknowledged, and where it may be. */
export class Ledger {
  readonly #root = temporaryDirectory();
  readonly #choose: (below: number) => number;
  readonly #acknowledged = new Set<string>();
  readonly #gone = new Set<string>();
  #runs = 0;

  constructor(seed: number) {
    this.#choose = seeded(seed);
  }

  get acknowledged(): number {
    return this.#acknowledged.size;
  }

  /** Runs a writer until it is dead, then takes the power away. Returns whether it was killed. */
  async run({ failpoint, killAfterAcks = Infinity, defect }: Run): Promise<boolean> {
    const log = join(this.#root, "log");
    mkdirSync(log, { recursive: true });
    const record = join(this.#root, "record");
    const run = `r${++this.#runs}`;
    const appends = killAfterAcks === Infinity ? 25 : 1_000_000;
    const task: ChildTask = { root: log, run, record, appends, ...(defect === undefined ? {} : { defect }) };
    const script = fileURLToPath(new URL("writer.child.ts", import.meta.url));
    const child = spawn(
      process.execPath,
      ["--import", import.meta.resolve("tsx"), script, JSON.stringify(task)],
      { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, WEIR_FAILPOINT: failpoint ?? "" } },
    );
    const exited = new Promise<NodeJS.Signals | number | null>((resolve) => {
      child.on("exit", (code, signal) => resolve(signal ?? code));
    });
    let acks = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      const [what, ...texts] = line.split(" ");
      for (const text of texts) (what === "ack" ? this.#acknowledged : this.#gone).add(text);
      if (what === "ack" && ++acks === killAfterAcks) child.kill("SIGKILL");
    }
    const end = await exited;
    if (end !== "SIGKILL" && end !== 0) throw new Error(`the writer ended with ${end}`);
    if (end === "SIGKILL") losePower(join(log, "web/c0"), record, this.#choose);
    return end === "SIGKILL";
  }

  /** Opens the log once more and throws unless it holds every acknowledged record once, whole and in order. */
  async settle(): Promise<void> {
    const files = recordingFileSystem(join(this.#root, "record"));
    const store = directoryStore(join(this.#root, "log"), { minFreeBytes: 0 }, { files });
    const writer = await store.openWriter("web", "c0");
    await writer.close();
    const { damagedBytes } = writer.stats();
    if (damagedBytes > 0) throw new Error(`${damagedBytes} bytes were taken for damaged`);
    const texts = (await readStream(store)).map((record) => record.text);
    const found = new Set(texts);
    if (found.size < texts.length) throw new Error("a record is there twice");
    for (const text of this.#acknowledged) {
      if (!found.has(text) && !this.#gone.has(text)) throw new Error(`lost: ${text} was acknowledged`);
    }
    const last = new Map<string, number>();
    for (const [at, text] of texts.entries()) {
      const [run = "", appender = "", append, part, count] = text.split(".");
      const order = Number(append) * 10 + Number(part);
      const key = `${run}.${appender}`;
      if (order <= (last.get(key) ?? -1)) throw new Error(`${text} is out of order`);
      last.set(key, order);
      const first = texts[at - Number(part)]?.split(".") ?? [];
      const whole = texts[at + Number(count) - 1 - Number(part)]?.split(".") ?? [];
      for (const [end, number] of [
        [first, 0],
        [whole, Number(count) - 1],
      ] as const) {
        if (end.join(".") !== `${run}.${appender}.${append}.${number}.${count}`)
          throw new Error(`${text} is torn`);
      }
    }
  }
}
