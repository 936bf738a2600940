import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { directoryStore } from "./directory.ts";

export interface AppendBenchOptions {
  /** The log is made, and removed again, in a new directory below this one. */
  readonly below: string;
  readonly seconds?: number;
  /** Appends under way at a time. */
  readonly appenders?: number;
  /** Records an append. */
  readonly batch?: number;
  readonly recordBytes?: number;
}

export interface AppendBenchResult {
  readonly records: number;
  readonly recordsPerSecond: number;
  readonly megabytesPerSecond: number;
  /** Of all threads, the kernel's part included; what a core would reach that never waits for the disk. */
  readonly recordsPerCpuSecond: number;
  /** From append to durable. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly recordsPerGroup: number;
  readonly meanSyncMs: number;
  readonly segments: number;
}

/** Appends for some seconds from many concurrent appenders, each waiting for its own, and removes what is sealed. */
export async function appendBench(options: AppendBenchOptions): Promise<AppendBenchResult> {
  const { below, seconds = 5, appenders = 64, batch = 100, recordBytes = 1100 } = options;
  const root = await mkdtemp(join(below, "weir-bench-"));
  const store = directoryStore(root, { minFreeBytes: 0 });
  const writer = await store.openWriter("bench", "c0");
  const head = `${Date.now() * 1000}\tproduct_viewed\t12\t0\t\t`;
  const record = `${head}${"x".repeat(recordBytes - head.length - 1)}\n`;
  const lines = Buffer.from(record.repeat(batch));
  const lengths = new Uint32Array(batch).fill(recordBytes);
  const latencies: number[] = [];
  const cpu = process.cpuUsage();
  const started = performance.now();
  const end = started + seconds * 1000;
  const appender = async () => {
    while (performance.now() < end) {
      const from = performance.now();
      await writer.append(lines, lengths);
      latencies.push(performance.now() - from);
    }
  };
  const retention = (async () => {
    let number = 0;
    while (performance.now() < end) {
      for (const ref of await store.sealedAfter("bench", "c0", number, 16)) {
        await store.remove(ref);
        number = ref.number;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  await Promise.all([retention, ...Array.from({ length: appenders }, appender)]);
  const elapsedS = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  await writer.close();
  const { records, groups, sync, sealed } = writer.stats();
  await rm(root, { recursive: true });
  latencies.sort((a, b) => a - b);
  return {
    records,
    recordsPerSecond: records / elapsedS,
    megabytesPerSecond: (records * recordBytes) / elapsedS / 1e6,
    recordsPerCpuSecond: records / ((user + system) / 1e6),
    p50Ms: latencies[Math.floor(latencies.length * 0.5)] ?? NaN,
    p99Ms: latencies[Math.floor(latencies.length * 0.99)] ?? NaN,
    recordsPerGroup: records / groups,
    meanSyncMs: sync.sumMs / sync.count,
    segments: sealed,
  };
}
