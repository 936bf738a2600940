import type { DuckDBResult } from "@duckdb/node-api";
import { eachRow } from "../each-row.ts";
import { IdRunWriter, entryBytes } from "./id-run.ts";

/** Writes a run of rows `h0` to `h3`, `t`, `content` that come in the order of the hashes; durably. */
export async function writeRun(path: string, rows: DuckDBResult, count: number): Promise<void> {
  const writer = new IdRunWriter(path, count);
  const out = Buffer.alloc(entriesAtOnce * entryBytes);
  let filled = 0;
  const flush = (): void => {
    writer.write(out.subarray(0, filled));
    filled = 0;
  };
  await eachRow(rows, (value) => {
    for (let word = 0; word < 4; word++) out.writeUInt32LE(value(word) as number, filled + word * 4);
    out.writeBigInt64LE(value(4) as bigint, filled + 16);
    out.writeBigUInt64LE(value(5) as bigint, filled + 24);
    filled += entryBytes;
    if (filled === out.length) flush();
  });
  flush();
  await writer.finish();
}

const entriesAtOnce = 2_048;
