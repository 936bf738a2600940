/** For tests: an engine over a log in a directory of its own, and what is in its tables. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Program } from "@weir/compile";
import { directoryStore } from "@weir/log";
import type { LogStore, SegmentWriter } from "@weir/log";
import type { RoleMasks } from "./access-views.ts";
import { Engine } from "./engine.ts";
import type { EngineEvent } from "./engine-options.ts";
import type { EngineSettings, ResolvedSettings } from "./settings.ts";

/** A record as a collector writes it. */
export type LogRecord = {
  readonly source: string;
  readonly receivedUs?: number;
} & (
  | { readonly sent: string; readonly text: string }
  | { readonly sent?: string; readonly error: string; readonly bytes: Buffer }
);

export interface HarnessOptions {
  readonly settings?: EngineSettings;
  readonly internals?: Partial<ResolvedSettings>;
  readonly access?: RoleMasks;
}

const receivedUs = 1_790_000_000_000_000;

/** Columns 2 to 7 of the record's line, with the LF. */
export function lineOf(record: LogRecord): Buffer {
  const head = `${record.receivedUs ?? receivedUs}\t${record.sent ?? ""}`;
  if ("error" in record) {
    return Buffer.from(`${head}\t0\t0\t${record.error}\t${record.bytes.toString("base64")}\n`);
  }
  const members = Object.values(JSON.parse(record.text) as object);
  const nulls = members.filter((member) => member === null).length;
  return Buffer.from(`${head}\t${members.length}\t${nulls}\t\t${record.text}\n`);
}

export class Harness {
  readonly dataDir = mkdtempSync(join(tmpdir(), "weir-engine-"));
  readonly store: LogStore = directoryStore(join(this.dataDir, "log"), {
    minFreeBytes: 0,
    sealAfterMs: 3_600_000,
  });
  readonly events: EngineEvent[] = [];
  readonly #options: HarnessOptions;
  readonly #writers = new Map<string, SegmentWriter>();
  #engine: Engine | undefined;

  constructor(options: HarnessOptions = {}) {
    this.#options = options;
  }

  get engine(): Engine {
    if (this.#engine === undefined) throw new Error("the engine is not open");
    return this.#engine;
  }

  /** Opens the engine, in place of the one before. */
  async open(program: Program): Promise<Engine> {
    await this.close();
    this.#engine = await Engine.open(
      {
        dataDir: this.dataDir,
        program,
        store: this.store,
        settings: { memoryLimit: "512MB", lanes: 1, commitAge: 1, ...this.#options.settings },
        ...(this.#options.access === undefined ? {} : { access: this.#options.access }),
        onEvent: (event) => this.events.push(event),
      },
      this.#options.internals,
    );
    return this.#engine;
  }

  async close(): Promise<void> {
    await this.#engine?.stop();
    this.#engine = undefined;
  }

  /** Appends the records to the writer's open segments, one of each source. */
  async append(records: readonly LogRecord[], writer = "w0"): Promise<void> {
    for (const source of new Set(records.map((record) => record.source))) {
      const lines = records.filter((record) => record.source === source).map(lineOf);
      const lengths = Uint32Array.from(lines, (line) => line.length);
      await (await this.#writer(source, writer)).append(Buffer.concat(lines), lengths);
    }
  }

  /** Seals every open segment. */
  async seal(): Promise<void> {
    for (const writer of this.#writers.values()) await writer.seal();
  }

  /** Appends, seals, and waits until the engine has committed. */
  async load(records: readonly LogRecord[], writer?: string): Promise<void> {
    await this.append(records, writer);
    await this.seal();
    await this.drain();
  }

  /** Waits until all that is sealed is committed; says where the engine stands if it never is. */
  async drain(): Promise<void> {
    await this.engine.drain({ timeoutMs: 120_000 }).catch(async (error: unknown) => {
      const { commit, lag, timings } = await this.engine.status();
      throw new Error(`not drained: ${JSON.stringify({ commit, lag, timings })}`, { cause: error });
    });
  }

  /** All rows of a query, as JSON. Throws when there are more than fit. */
  async rows(sql: string): Promise<unknown[][]> {
    const { rows, truncated } = await this.engine.query(sql, { maxRows: 1_000_000 });
    if (truncated) throw new Error(`too many rows: ${sql}`);
    return rows;
  }

  /** Closes everything and removes the directory. */
  async end(): Promise<void> {
    await this.close();
    for (const writer of this.#writers.values()) await writer.close();
    rmSync(this.dataDir, { recursive: true, force: true });
  }

  async #writer(source: string, name: string): Promise<SegmentWriter> {
    const key = `${source}/${name}`;
    const writer = this.#writers.get(key) ?? (await this.store.openWriter(source, name));
    this.#writers.set(key, writer);
    return writer;
  }
}
