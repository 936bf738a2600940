import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { compileProject } from "@weir/compile";
import type { ProjectSpec } from "@weir/compile";
import { Engine } from "@weir/engine";
import type { EngineEvent } from "@weir/engine";
import { directoryStore } from "@weir/log";
import { benchProject, eventText, personalProject, randomOf, withPersonProject } from "./events.ts";

export interface EngineBenchOptions {
  readonly events: number;
  /** Share of events that are sent twice. */
  readonly duplicates: number;
  readonly seed: number;
  /** Three personal fields an event: `plain` as any others, `tagged` as tokens. Default: none. */
  readonly person?: "plain" | "tagged";
}

export interface EngineBenchResult {
  readonly events: number;
  readonly bytesPerEvent: number;
  readonly eventsPerSecond: number;
  /** Of both cores, user and system. */
  readonly cpuMicrosPerEvent: number;
  readonly peakMemoryBytes: number;
  readonly idMemoryBytes: number;
  readonly timingsMs: Readonly<Record<string, number>>;
  readonly commits: number;
}

/** The engine alone: a log filled beforehand, consumed as fast as it goes. Strict validation, deduplication, raw and clean. */
export async function benchEngine(below: string, options: EngineBenchOptions): Promise<EngineBenchResult> {
  const dir = mkdtempSync(join(below, "weir-bench-"));
  try {
    const project =
      options.person === undefined
        ? benchProject
        : options.person === "plain"
          ? withPersonProject
          : personalProject;
    return await runEngine(dir, await fillLog(dir, options), project);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Consumes the log of a data directory. `bytes` is the JSON in it. */
export async function runEngine(
  dir: string,
  bytes: number,
  project: ProjectSpec = benchProject,
): Promise<EngineBenchResult> {
  const store = directoryStore(join(dir, "log"));
  const timings: Record<string, number> = {};
  let commits = 0;
  let records = 0;
  const onEvent = (event: EngineEvent): void => {
    if (event.kind !== "commit") return;
    commits++;
    records += event.records;
    for (const [name, ms] of Object.entries(event.timings)) timings[name] = (timings[name] ?? 0) + ms;
  };
  const engine = await Engine.open({
    dataDir: dir,
    program: compileProject(project),
    store,
    onEvent,
    settings: { lanes: Number(process.env["T"] ?? 2) },
  });
  const cpu = process.cpuUsage();
  const from = performance.now();
  engine.start();
  await engine.drain({ timeoutMs: 3_600_000 });
  const seconds = (performance.now() - from) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const { ids } = await engine.status();
  await engine.stop();
  return {
    events: records,
    bytesPerEvent: bytes / records,
    eventsPerSecond: records / seconds,
    cpuMicrosPerEvent: (user + system) / records,
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
    idMemoryBytes: ids.memoryBytes,
    timingsMs: Object.fromEntries(Object.entries(timings).map(([name, ms]) => [name, Math.round(ms)])),
    commits,
  };
}

/** Writes the log; gives the bytes of JSON in it. */
export async function fillLog(
  dir: string,
  { events, duplicates, seed, person }: EngineBenchOptions,
): Promise<number> {
  const random = randomOf(seed);
  const store = directoryStore(join(dir, "log"));
  const writer = await store.openWriter("web", "c0");
  const startMs = Date.now() - 3_600_000;
  let bytes = 0;
  let previous = "";
  for (let done = 0; done < events;) {
    const lines: string[] = [];
    const lengths: number[] = [];
    for (let i = 0; i < 1_000 && done < events; i++, done++) {
      const repeat = previous !== "" && random() < duplicates;
      const json = repeat
        ? previous
        : eventText(random, startMs + done * 0.01 - random() * 5_000, 20_000, person !== undefined);
      previous = json;
      bytes += json.length;
      const nulls = json.includes('"user_id":null') ? 1 : 0;
      const line = `${Math.floor((startMs + done * 0.01) * 1000)}\tproduct_viewed\t${person === undefined ? 16 : 19}\t${nulls}\t\t${json}\n`;
      lines.push(line);
      lengths.push(Buffer.byteLength(line));
    }
    await writer.append(Buffer.from(lines.join("")), Uint32Array.from(lengths));
  }
  await writer.close();
  return bytes;
}
