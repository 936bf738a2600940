import { instantText, parseLsn } from "./lsn.ts";
import type { Lsn } from "./lsn.ts";
import type { Wire } from "./wire.ts";

/** A position that no other call got or will get: it makes the log longer. */
export async function newPosition(wire: Wire): Promise<{ lsn: Lsn; at: string }> {
  await wire.query("SELECT pg_logical_emit_message(false, 'weir', '')");
  return await position(wire);
}

/** The end of the server's write-ahead log, and its clock, at this moment. */
export async function position(wire: Wire): Promise<{ lsn: Lsn; at: string }> {
  const [row] = await wire.query(
    "SELECT pg_current_wal_insert_lsn(), (extract(epoch FROM clock_timestamp()) * 1000000)::int8 - 946684800000000",
  );
  return { lsn: parseLsn(row?.[0] ?? ""), at: instantText(BigInt(row?.[1] ?? 0)) };
}
