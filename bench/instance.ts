import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { LoadOptions, LoadResult } from "./load.ts";

/** The real `weir up` on the benchmarks' project, and what benchmarks ask of it. */

const root = new URL("..", import.meta.url).pathname;

/**
 * Runs an instance while `work` does.
 *
 * @param below the data directory is made, and removed again, below this one
 */
export async function withWeir<T>(
  below: string,
  work: (url: string, weir: ChildProcess, dataDir: string) => Promise<T>,
  { env = {}, project = "project" }: { env?: NodeJS.ProcessEnv; project?: string } = {},
): Promise<T> {
  const dir = mkdtempSync(join(below, "weir-bench-"));
  const weir = spawn(
    process.execPath,
    [
      join(root, "packages/weir/bin/weir.mjs"),
      "up",
      "--project",
      join(root, "bench", project, "weir.config.ts"),
      "--data-dir",
      dir,
      "--port",
      "0",
      "--log-format",
      "json",
    ],
    { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, ...env } },
  );
  let errors = "";
  weir.stderr.on("data", (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-4000);
  });
  try {
    const url = await urlOf(dir, weir, () => errors);
    return await work(url, weir, dir);
  } finally {
    weir.kill("SIGTERM");
    if (weir.exitCode === null) await once(weir, "exit");
    rmSync(dir, { recursive: true, force: true });
  }
}

async function urlOf(dir: string, weir: ChildProcess, errors: () => string): Promise<string> {
  for (let i = 0; i < 600; i++) {
    if (weir.exitCode !== null) throw new Error(`weir up ended: ${errors()}`);
    try {
      const { url } = JSON.parse(readFileSync(join(dir, "run", "weir.json"), "utf8")) as { url: string };
      const ready = await fetch(`${url}/readyz`);
      const status = await fetch(`${url}/api/status`);
      if (ready.ok && status.ok) return url;
    } catch {
      // Not there yet.
    }
    await sleep(100);
  }
  throw new Error(`weir up is not ready: ${errors()}`);
}

export async function query(url: string, sql: string, maxRows = 1_000): Promise<(string | number)[][]> {
  const response = await fetch(`${url}/api/query`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ sql, maxRows }),
  });
  const answer = (await response.json()) as { rows?: (string | number)[][] };
  if (answer.rows === undefined) throw new Error(JSON.stringify(answer));
  return answer.rows;
}

/** Runs a client in a process of its own; its result is the JSON that it prints. */
export async function runClient<T>(file: string, options: object): Promise<T> {
  const child = spawn(
    process.execPath,
    ["--import", "tsx", join(root, "bench", file), JSON.stringify(options)],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  let out = "";
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  await once(child, "close");
  return JSON.parse(out) as T;
}

export const portOf = (url: string): number => Number(new URL(url).port);

export const runLoad = (url: string, options: Omit<LoadOptions, "port">): Promise<LoadResult> =>
  runClient<LoadResult>("load.ts", { port: portOf(url), ...options });

export async function drain(url: string): Promise<void> {
  const response = await fetch(`${url}/api/drain`, { method: "POST" });
  if (!response.ok) throw new Error(`drain: ${await response.text()}`);
}

export async function committed(url: string): Promise<number> {
  const [row] = await query(url, "SELECT coalesce(sum(received), 0)::DOUBLE FROM weir.counts");
  return Number(row?.[0] ?? 0);
}

/** Resident bytes of a process and its descendants. */
export function treeMemory(root: number): number {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
    } catch {
      // It ended meanwhile.
    }
  }
  const isBelow = (pid: number): boolean =>
    pid === root || (parents.has(pid) && isBelow(parents.get(pid) ?? 0));
  let bytes = 0;
  for (const pid of parents.keys()) {
    if (!isBelow(pid)) continue;
    try {
      bytes += Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * 4096;
    } catch {
      // It ended meanwhile.
    }
  }
  return bytes;
}

export interface Quantiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** Of values, each with how many there are of it. */
export function quantiles(weighted: readonly (readonly [number, number])[]): Quantiles {
  const sorted = weighted.filter(([ms]) => !Number.isNaN(ms)).sort(([a], [b]) => a - b);
  const total = sorted.reduce((sum, [, n]) => sum + n, 0);
  const at = (q: number): number => {
    let passed = 0;
    for (const [ms, n] of sorted) {
      passed += n;
      if (passed >= total * q) return ms;
    }
    return NaN;
  };
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}
