import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { LoadResult } from "./load.ts";

export interface EndToEndOptions {
  /** The data directory is made, and removed again, below this one. */
  readonly below: string;
  readonly seconds: number;
  /** Events per second; as fast as acknowledged when not given. */
  readonly rate?: number;
}

export interface EndToEndResult {
  readonly acknowledged: number;
  /** Acknowledged and queryable, over the time from the first request to the last commit. */
  readonly eventsPerSecond: number;
  readonly refused: number;
  /** From the moment a client stamps an event until a query sees it. */
  readonly queryableMs: { readonly p50: number; readonly p95: number; readonly p99: number };
  /** Resident memory of the whole process tree. */
  /**
   * Resident memory of all processes. It goes up and down as a saw: what was written since the last checkpoint of the state
   * is in memory too (256 MB of write-ahead log at most). `low` is the least of a third: what stays.
   */
  readonly memoryBytes: {
    readonly peak: number;
    readonly lowFirstThird: number;
    readonly lowLastThird: number;
  };
  readonly verified: boolean;
}

const root = new URL("..", import.meta.url).pathname;

/** The real `weir up` and a client process on the same machine. */
export async function endToEnd({ below, seconds, rate }: EndToEndOptions): Promise<EndToEndResult> {
  const dir = mkdtempSync(join(below, "weir-bench-"));
  const weir = spawn(
    process.execPath,
    [
      join(root, "packages/weir/bin/weir.mjs"),
      "up",
      "--project",
      join(root, "bench/project/weir.config.ts"),
      "--data-dir",
      dir,
      "--port",
      "0",
      "--log-format",
      "json",
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let errors = "";
  weir.stderr.on("data", (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-4000);
  });
  try {
    const url = await urlOf(dir, weir, () => errors);
    return await measure(url, weir, seconds, rate);
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

async function query(url: string, sql: string, maxRows = 1_000): Promise<(string | number)[][]> {
  const response = await fetch(`${url}/api/query`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ sql, maxRows }),
  });
  const answer = (await response.json()) as { rows?: (string | number)[][] };
  if (answer.rows === undefined) throw new Error(JSON.stringify(answer));
  return answer.rows;
}

async function measure(
  url: string,
  weir: ChildProcess,
  seconds: number,
  rate: number | undefined,
): Promise<EndToEndResult> {
  // A few seconds at half speed let the processes compile their hot paths.
  await runLoad(url, Math.min(5, seconds / 4), rate ?? 30_000, 1);
  await drain(url);
  const before = await committed(url);
  const seen = new Map<number, number>();
  const memory: number[] = [];
  const watching = new AbortController();
  const watch = (async () => {
    let reached = 0;
    for (let i = 0; !watching.signal.aborted; i++) {
      const [row] = await query(url, "SELECT coalesce(max(number), 0)::DOUBLE FROM weir.offsets");
      const now = Date.now();
      for (const number = Number(row?.[0] ?? 0); reached < number;) seen.set(++reached, now);
      if (i % 40 === 0) memory.push(treeMemory(weir.pid ?? 0));
      await sleep(25);
    }
  })();
  const from = performance.now();
  const sent = await runLoad(url, seconds, rate, 2);
  await drain(url);
  const elapsed = (performance.now() - from) / 1000;
  await sleep(200);
  watching.abort();
  await watch;
  const loaded = (await committed(url)) - before;
  const rows = await query(
    url,
    `SELECT _number::DOUBLE, epoch_ms(occurred_at)::DOUBLE, count(*)::DOUBLE FROM product_viewed
     WHERE event_id LIKE '%-%' AND occurred_at >= make_timestamp(${Math.floor((Date.now() - elapsed * 1000 - 300) * 1000)})
     GROUP BY ALL`,
    5_000_000,
  );
  const third = Math.max(1, Math.floor(memory.length / 3));
  const verify = (await (await fetch(`${url}/api/verify`)).json()) as { ok: boolean };
  return {
    acknowledged: sent.acknowledged,
    eventsPerSecond: Math.min(loaded, sent.acknowledged) / elapsed,
    refused: sent.refused,
    queryableMs: quantiles(
      rows.map(([number, at, n]) => [(seen.get(Number(number)) ?? NaN) - Number(at), Number(n)]),
    ),
    memoryBytes: {
      peak: Math.max(...memory),
      lowFirstThird: Math.min(...memory.slice(0, third)),
      lowLastThird: Math.min(...memory.slice(-third)),
    },
    verified: verify.ok && loaded === sent.acknowledged,
  };
}

async function runLoad(
  url: string,
  seconds: number,
  rate: number | undefined,
  seed: number,
): Promise<LoadResult> {
  const options = { port: Number(new URL(url).port), seconds, seed, ...(rate === undefined ? {} : { rate }) };
  const child = spawn(
    process.execPath,
    ["--import", "tsx", join(root, "bench/load.ts"), JSON.stringify(options)],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  let out = "";
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  await once(child, "close");
  return JSON.parse(out) as LoadResult;
}

async function drain(url: string): Promise<void> {
  const response = await fetch(`${url}/api/drain`, { method: "POST" });
  if (!response.ok) throw new Error(`drain: ${await response.text()}`);
}

async function committed(url: string): Promise<number> {
  const [row] = await query(url, "SELECT coalesce(sum(received), 0)::DOUBLE FROM weir.counts");
  return Number(row?.[0] ?? 0);
}

/** Resident bytes of a process and its descendants. */
function treeMemory(root: number): number {
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

function quantiles(weighted: readonly (readonly [number, number])[]): {
  p50: number;
  p95: number;
  p99: number;
} {
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
