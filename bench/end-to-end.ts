import type { ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { committed, drain, quantiles, query, runLoad, treeMemory, withWeir } from "./instance.ts";

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

/** The real `weir up` and a client process on the same machine. */
export const endToEnd = ({ below, seconds, rate }: EndToEndOptions): Promise<EndToEndResult> =>
  withWeir(below, (url, weir) => measure(url, weir, seconds, rate));

async function measure(
  url: string,
  weir: ChildProcess,
  seconds: number,
  rate: number | undefined,
): Promise<EndToEndResult> {
  // A few seconds at half speed let the processes compile their hot paths.
  await runLoad(url, { seconds: Math.min(5, seconds / 4), rate: rate ?? 30_000, seed: 1 });
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
  const sent = await runLoad(url, { seconds, seed: 2, ...(rate === undefined ? {} : { rate }) });
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
