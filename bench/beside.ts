import { setTimeout as sleep } from "node:timers/promises";
import { liveLatency } from "./backfill.ts";
import { drain, query, runLoad, withWeir } from "./instance.ts";
import type { Quantiles } from "./instance.ts";

export interface BesideBenchOptions {
  /** A table built anew from the clean zone, or all records judged again from raw, and the result swapped in. */
  readonly task: "rebuild" | "replay";
  readonly below: string;
  /** Of live load, each time. */
  readonly seconds: number;
  /** Live events per second. */
  readonly rate: number;
  /** Events that are there before, at the same rate and as fast as they are taken. */
  readonly eventsBefore: number;
}

export interface BesideBenchResult {
  /** From the moment a client stamps a live event until a query sees it. */
  readonly aloneMs: Quantiles;
  readonly besideTaskMs: Quantiles;
  /** p95 beside the task over p95 alone. */
  readonly slower: number;
  /** Rows that the tasks read per second of the time that they worked. */
  readonly rowsPerSecond: number;
  /** How many ended, one after the other. */
  readonly tasks: number;
  /** Whether live and new tables were the same each time, and all checks hold. */
  readonly verified: boolean;
}

interface Task {
  readonly id: number;
  readonly state: string;
  readonly progress: { readonly done: number; readonly busyMs: number };
}

/** Live events with and without a rebuild or a replay beside them, at the default share, in one instance. */
export const benchBeside = (options: BesideBenchOptions): Promise<BesideBenchResult> =>
  withWeir(options.below, (url) => measure(url, options));

async function measure(
  url: string,
  { task: kind, seconds, rate, eventsBefore }: BesideBenchOptions,
): Promise<BesideBenchResult> {
  await runLoad(url, { seconds: eventsBefore / (rate * 4), rate: rate * 4, seed: 1 });
  await drain(url);
  const alone = await liveLatency(url, { seconds, rate, seed: 2 });
  const [[table] = []] = await query(url, "SELECT name FROM weir.tables ORDER BY name LIMIT 1");
  const asked =
    kind === "rebuild"
      ? { table, swap: "same" }
      : { from: new Date(Date.now() - 86_400_000).toISOString(), swap: "always" };
  const measured = new AbortController();
  const done: Task[] = [];
  const working = (async () => {
    while (!measured.signal.aborted) {
      const { id } = await ask<Task>(url, `/api/${kind}`, asked);
      for (;;) {
        const task = await ask<Task>(url, `/api/tasks/${id}`);
        if (task.state !== "waiting" && task.state !== "running") {
          done.push(task);
          break;
        }
        await sleep(50);
      }
    }
  })();
  const beside = await liveLatency(url, { seconds, rate, seed: 3 });
  measured.abort();
  await working;
  const verify = await ask<{ ok: boolean }>(url, "/api/verify");
  const rows = done.reduce((sum, { progress }) => sum + progress.done, 0);
  const busyMs = done.reduce((sum, { progress }) => sum + progress.busyMs, 0);
  return {
    aloneMs: alone,
    besideTaskMs: beside,
    slower: beside.p95 / alone.p95,
    rowsPerSecond: (rows * 1000) / busyMs,
    tasks: done.length,
    verified: verify.ok && done.every(({ state }) => state === "done"),
  };
}

/** @param body of a POST; a GET where there is none */
async function ask<T>(url: string, path: string, body?: object): Promise<T> {
  const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  return (await (await fetch(`${url}${path}`, init)).json()) as T;
}
