import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { collectBench } from "../packages/collect/src/collect.bench.ts";
import { postgresMissing } from "@weir/testkit";
import { benchBackfill } from "./backfill.ts";
import { benchCapture } from "./capture.ts";
import { endToEnd } from "./end-to-end.ts";
import { benchEngine } from "./engine.ts";
import { benchLookups } from "./lookups.ts";
import { benchMerges } from "./merges.ts";
import type { MergeBench } from "./merges.ts";
import { benchBeside } from "./beside.ts";
import { benchSeenIds } from "./seen-ids.ts";

/**
 * `npm run bench`: speed and memory on this machine, printed and stored in bench/results/.
 *
 *   --only collect,logs,engine (and engine_plain, engine_tagged),ids,identity,sessions,capture,throughput,latency,backfill,rebuild,replay,lookups,scans,memory   some of them
 *   --smoke                                               all of them, small: that they run, not how fast
 *   --runs N                                              each N times (3); medians are printed
 */
const { values } = parseArgs({
  options: {
    only: { type: "string" },
    smoke: { type: "boolean", default: false },
    runs: { type: "string" },
    below: { type: "string", default: "bench/data" },
    one: { type: "string" },
  },
});

const below = resolve(values.below);
mkdirSync(below, { recursive: true });
const { smoke } = values;
const million = 1_000_000;

type Figures = Readonly<Record<string, number | boolean>>;

interface Benchmark {
  readonly title: string;
  /** The figure that the others explain. */
  readonly figure: string;
  readonly once?: boolean;
  /** What it needs and this machine has not. */
  readonly missing?: string | undefined;
  run(): Promise<Figures>;
}

const ids = (known: number): Benchmark => ({
  title: `engine with ${known / million} million ids already seen`,
  figure: "eventsPerSecond",
  run: async () => flat(await benchSeenIds(below, smoke ? known / 1000 : known, smoke ? 20_000 : million)),
});

const personal = (person: "plain" | "tagged", title: string): Benchmark => ({
  title,
  figure: "eventsPerSecond",
  run: async () =>
    flat(
      await benchEngine(below, {
        events: smoke ? 20_000 : 2 * million,
        duplicates: 0.02,
        seed: 1,
        person,
      }),
    ),
});

const beside = (task: "rebuild" | "replay", what: string): Benchmark => ({
  title: `${what} beside 5,000 live events/s: how much later these can be queried`,
  figure: "slower",
  once: true,
  run: async () =>
    flat(
      await benchBeside({
        below,
        task,
        seconds: smoke ? 2 : 30,
        rate: smoke ? 500 : 5_000,
        eventsBefore: smoke ? 2_000 : 400_000,
      }),
    ),
});

const lookups = (scan: boolean): Benchmark => ({
  title: `1,000 lookups/s in a table of a million rows at 30,000 events/s${scan ? ", without mirrors" : ""}`,
  figure: "ms.p99",
  run: async () =>
    flat(
      await benchLookups({
        below,
        seconds: smoke ? 2 : 20,
        rows: smoke ? 2_000 : million,
        ingest: smoke ? 2_000 : 30_000,
        rate: smoke ? 100 : 1_000,
        scan,
      }),
    ),
});

const merges = (kind: MergeBench, title: string): Benchmark => ({
  title: `${title}; batches of 50,000 records`,
  figure: "mergeMs",
  once: true,
  run: async () =>
    flat(
      await benchMerges(below, kind, {
        rows: smoke ? 30_000 : 10 * million,
        batch: smoke ? 1_000 : 50_000,
        batches: smoke ? 3 : 6,
      }),
    ),
});

const benchmarks: Readonly<Record<string, Benchmark>> = {
  collect: {
    title: "collect alone, batches of 100, fsync before 202",
    figure: "recordsPerSecond",
    run: async () => flat(await collectBench({ below, seconds: smoke ? 1 : 15 })),
  },
  logs: {
    title: "collect alone, log records by OTLP in protobuf, batches of 200, fsync before 200",
    figure: "recordsPerSecond",
    run: async () =>
      flat(await collectBench({ below, seconds: smoke ? 1 : 15, batch: 200, send: "otlp_protobuf" })),
  },
  engine: {
    title:
      "engine alone, strict validation, deduplication, raw and clean Parquet, one session table, two rollups",
    figure: "eventsPerSecond",
    run: async () =>
      flat(await benchEngine(below, { events: smoke ? 20_000 : 2 * million, duplicates: 0.02, seed: 1 })),
  },
  engine_plain: personal("plain", "the same with three more fields an event: e-mail address, phone, name"),
  engine_tagged: personal(
    "tagged",
    "the same as engine_plain, these fields as tokens and the user's id as subject",
  ),
  ids1: ids(million),
  ids10: ids(10 * million),
  ids50: ids(50 * million),
  identity: merges("identity", "an identity table of 10 million ids"),
  identity_tables: merges("persons", "the same, with 10 million sessions and 3 million totals by person"),
  sessions: merges("sessions", "a session table of 10 million keys"),
  capture: {
    missing: postgresMissing(18),
    title: "a table of a million rows captured from PostgreSQL into an entity, then 300,000 changes of it",
    figure: "changesPerSecond",
    run: async () =>
      flat(await benchCapture({ below, rows: smoke ? 5_000 : million, changes: smoke ? 1_000 : 300_000 })),
  },
  throughput: {
    title: "end to end, as fast as acknowledged, client on the same machine",
    figure: "eventsPerSecond",
    run: async () => flat(await endToEnd({ below, seconds: smoke ? 2 : 60 })),
  },
  latency: {
    title: "end to end at 30,000 events/s",
    figure: "queryableMs.p95",
    run: async () => flat(await endToEnd({ below, seconds: smoke ? 2 : 60, rate: smoke ? 2_000 : 30_000 })),
  },
  backfill: {
    title: "a backfill of files beside 5,000 live events/s: how much later these can be queried",
    figure: "slower",
    once: true,
    run: async () =>
      flat(
        await benchBackfill({
          below,
          seconds: smoke ? 2 : 30,
          rate: smoke ? 500 : 5_000,
          rows: smoke ? 5_000 : 400_000,
        }),
      ),
  },
  rebuild: beside("rebuild", "a table built anew"),
  replay: beside("replay", "all records judged again, and swapped,"),
  lookups: lookups(false),
  scans: lookups(true),
  memory: {
    title: "end to end at 30,000 events/s for five minutes: memory",
    figure: "memoryBytes.lowLastThird",
    once: true,
    run: async () => flat(await endToEnd({ below, seconds: smoke ? 3 : 300, rate: smoke ? 2_000 : 30_000 })),
  },
};

function flat(result: object, prefix = ""): Figures {
  return Object.fromEntries(
    Object.entries(result).flatMap(([name, value]: [string, unknown]) =>
      typeof value === "object" && value !== null
        ? Object.entries(flat(value, `${prefix}${name}.`))
        : [[prefix + name, value as number | boolean]],
    ),
  );
}

/** Each run in a process of its own, so that peak memory is its own and no run warms up the next. */
function inProcess(name: string): Figures {
  const args = ["--import", "tsx", join(import.meta.dirname, "main.ts"), "--one", name, "--below", below];
  const child = spawnSync(process.execPath, [...args, ...(smoke ? ["--smoke"] : [])], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (child.status !== 0) throw new Error(`${name} failed with status ${child.status}`);
  return JSON.parse(child.stdout.trim().split("\n").at(-1) ?? "") as Figures;
}

function medians(runs: readonly Figures[]): Figures {
  const names = Object.keys(runs[0] ?? {});
  return Object.fromEntries(
    names.map((name) => {
      const all = runs.map((run) => run[name]);
      if (typeof all[0] === "boolean") return [name, all.every((value) => value === true)];
      return [name, all.map(Number).sort((a, b) => a - b)[all.length >> 1] ?? NaN];
    }),
  );
}

const shown = (value: number | boolean | undefined): string =>
  typeof value === "number"
    ? Math.abs(value) >= 100
      ? Math.round(value).toLocaleString("en")
      : value.toFixed(2)
    : String(value);

function runAll(): void {
  const wanted = values.only?.split(",");
  const names = Object.keys(benchmarks).filter(
    (name) => wanted?.some((w) => name === w || name.startsWith(w)) ?? true,
  );
  const runs = smoke ? 1 : Number(values.runs ?? 3);
  const machine = {
    cpu: cpus()[0]?.model ?? "",
    cores: cpus().length,
    memoryBytes: totalmem(),
    node: process.version,
  };
  console.log(
    `${machine.cores} x ${machine.cpu}, ${Math.round(machine.memoryBytes / 2 ** 30)} GiB, Node ${machine.node}`,
  );
  const results: Record<string, { title: string; runs: Figures[]; median: Figures }> = {};
  for (const name of names) {
    const benchmark = benchmarks[name];
    if (benchmark === undefined) continue;
    if (benchmark.missing !== undefined) {
      console.log(`\n${name}: skipped: ${benchmark.missing}`);
      continue;
    }
    const all = Array.from({ length: benchmark.once === true ? 1 : runs }, () => inProcess(name));
    const median = medians(all);
    results[name] = { title: benchmark.title, runs: all, median };
    console.log(`\n${name}: ${benchmark.title}`);
    for (const [figure, value] of Object.entries(median)) {
      const spread =
        all.length > 1 && figure === benchmark.figure
          ? `   (${all.map((run) => shown(run[figure])).join(", ")})`
          : "";
      console.log(
        `  ${figure === benchmark.figure ? "*" : " "} ${figure.padEnd(28)} ${shown(value)}${spread}`,
      );
    }
  }
  if (smoke) return;
  const folder = join(import.meta.dirname, "results");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${new Date().toISOString().slice(0, 16).replaceAll(":", "")}.json`);
  writeFileSync(file, `${JSON.stringify({ machine, at: new Date().toISOString(), results }, null, 2)}\n`);
  console.log(`\nStored in ${file}`);
}

if (values.one === undefined) runAll();
else console.log(JSON.stringify(await benchmarks[values.one]?.run()));
