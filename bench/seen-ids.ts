import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { compileProject } from "@weir/compile";
import { Engine } from "@weir/engine";
import { directoryStore } from "@weir/log";
import { DuckDBInstance } from "@duckdb/node-api";
import { IdRunWriter, entryBytes } from "../packages/engine/src/ids/id-run.ts";
import { benchProject, randomOf } from "./events.ts";
import { fillLog, runEngine } from "./engine.ts";
import type { EngineBenchResult } from "./engine.ts";

/** Ids in one run; what the engine's own merges would have left. */
const idsARun = 8 * 1_048_576;

/** The engine alone on a state that already knows so many ids. */
export async function benchSeenIds(below: string, known: number, events: number): Promise<EngineBenchResult> {
  const dir = mkdtempSync(join(below, "weir-bench-"));
  try {
    const program = compileProject(benchProject);
    const engine = await Engine.open({ dataDir: dir, program, store: directoryStore(join(dir, "log")) });
    await engine.stop();
    await writeRuns(dir, known);
    const bytes = await fillLog(dir, { events, duplicates: 0.02, seed: 3 });
    return await runEngine(dir, bytes);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function writeRuns(dir: string, known: number): Promise<void> {
  const instance = await DuckDBInstance.create(join(dir, "state", "weir.duckdb"));
  const sql = await instance.connect();
  mkdirSync(join(dir, "state", "ids"), { recursive: true });
  const random = randomOf(known);
  for (let left = known, seq = 1; left > 0; left -= idsARun, seq++) {
    const count = Math.min(left, idsARun);
    const name = `${String(seq).padStart(10, "0")}.ids`;
    const writer = new IdRunWriter(join(dir, "state", "ids", name), count);
    const chunk = Buffer.alloc(16_384 * entryBytes);
    for (let done = 0; done < count;) {
      const n = Math.min(16_384, count - done);
      for (let i = 0; i < n; i++, done++) {
        // Hashes are even: the k-th of n is near k/n of the range, so these come out sorted.
        const at = i * entryBytes;
        chunk.writeUInt32LE(Math.floor(((done + random()) / count) * 4_294_967_295), at);
        for (const word of [4, 8, 12]) chunk.writeUInt32LE(Math.floor(random() * 4_294_967_296), at + word);
        chunk.writeBigInt64LE(0n, at + 16);
        chunk.writeBigUInt64LE(0n, at + 24);
      }
      writer.write(chunk.subarray(0, n * entryBytes));
    }
    await writer.finish();
    await sql.run(`INSERT INTO weir.weir.id_runs VALUES ('${name}', ${count}, ${Date.now() * 1000}, ${seq})`);
  }
  sql.closeSync();
  instance.closeSync();
}
