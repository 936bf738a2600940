import { WeirError } from "@weir/contract";
import { formatLsn, parseLsn } from "./lsn.ts";
import type { Lsn } from "./lsn.ts";
import { ServerError, literal } from "./wire.ts";
import type { Wire } from "./wire.ts";

/** A replication slot as the server has it now. Sizes in bytes. */
export interface SlotState {
  readonly plugin: string;
  readonly database: string;
  readonly activePid: number | null;
  /** Up to where its client acknowledged; null where a slot is not ready. */
  readonly confirmed: Lsn | null;
  /** Log that it keeps the server from removing. */
  readonly retainedBytes: number;
  /** Why it can never be read from again; null while it can. */
  readonly lost: string | null;
  /** How much may be retained; null: without bound, or not known (before version 13). */
  readonly budgetBytes: number | null;
  /** How much may be written before it is in danger of being lost. */
  readonly safeBytes: number | null;
  readonly current: Lsn;
}

/** The slot of this name, or undefined where there is none. */
export async function readSlot(wire: Wire, version: number, name: string): Promise<SlotState | undefined> {
  const lost =
    version >= 170000
      ? "coalesce(invalidation_reason, CASE WHEN wal_status = 'lost' THEN 'wal_removed' END)"
      : version >= 160000
        ? "CASE WHEN wal_status = 'lost' THEN 'wal_removed' WHEN conflicting THEN 'conflicting' END"
        : version >= 130000
          ? "CASE WHEN wal_status = 'lost' THEN 'wal_removed' END"
          : "NULL";
  const [row] = await wire.query(`
    SELECT plugin, database, active_pid, confirmed_flush_lsn,
      pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), ${lost},
      ${version >= 130000 ? "(SELECT setting FROM pg_settings WHERE name = 'max_slot_wal_keep_size')" : "'-1'"},
      ${version >= 130000 ? "safe_wal_size" : "NULL"}, pg_current_wal_lsn()
    FROM pg_replication_slots WHERE slot_name = ${literal(name)}`);
  if (row === undefined) return undefined;
  const [plugin, database, pid, confirmed, retained, reason, keepMegabytes, safe, current] = row;
  return {
    plugin: plugin ?? "",
    database: database ?? "",
    activePid: pid === null || pid === undefined ? null : Number(pid),
    confirmed: confirmed === null || confirmed === undefined ? null : parseLsn(confirmed),
    retainedBytes: Number(retained ?? 0),
    lost: reason ?? null,
    budgetBytes: Number(keepMegabytes) < 0 ? null : Number(keepMegabytes) * 1024 * 1024,
    safeBytes: safe === null || safe === undefined ? null : Number(safe),
    current: parseLsn(current ?? "0/0"),
  };
}

export const dropSlot = async (wire: Wire, name: string): Promise<void> => {
  await wire.query(`SELECT pg_drop_replication_slot(${literal(name)})`);
};

/** How long creating a slot waits for transactions that were running before it. */
const createTimeoutMs = 60_000;

/**
 * Creates a slot and returns the position from which it yields every transaction whole.
 *
 * The server waits for all transactions that write at that moment; `statement_timeout` does not limit it where it is a
 * replication command, `lock_timeout` does. FAILOVER (since version 17) lets a standby take it over.
 *
 * @param waitMs how long it waits for them
 * @throws WeirError `postgres_slot_wait` naming the transactions that were waited for, `postgres_slots_used`,
 * `postgres_privilege`, ServerError
 */
export async function createSlot(
  wire: Wire,
  version: number,
  name: string,
  waitMs = createTimeoutMs,
): Promise<Lsn> {
  const failover = version >= 170000 ? ", failover => true" : "";
  try {
    await wire.query(`SET lock_timeout = ${waitMs}`);
    const [row] = await wire.query(
      `SELECT lsn FROM pg_create_logical_replication_slot(${literal(name)}, 'pgoutput'${failover})`,
    );
    return parseLsn(row?.[0] ?? "");
  } catch (error) {
    if (!(error instanceof ServerError)) throw error;
    if (error.code === "55P03") throw await waitedFor(wire, error);
    if (error.code === "42501") {
      throw new WeirError("postgres_privilege", `The role may not replicate: ${error.message}`, {
        remedy: "Run ALTER ROLE ... REPLICATION (on Amazon RDS: GRANT rds_replication TO ...).",
        cause: error,
      });
    }
    if (error.code === "53400") {
      throw new WeirError(
        "postgres_slots_used",
        `The server has no replication slot left: ${error.message}`,
        {
          cause: error,
        },
      );
    }
    throw error;
  } finally {
    await wire.query("SET lock_timeout = '10s'").catch(() => undefined);
  }
}

async function waitedFor(wire: Wire, cause: ServerError): Promise<WeirError> {
  const rows = await wire.query(`
    SELECT pid, coalesce(usename, ''), coalesce(application_name, ''), now() - xact_start FROM pg_stat_activity
    WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() ORDER BY xact_start LIMIT 5`);
  const prepared = await wire.query(
    "SELECT gid FROM pg_prepared_xacts WHERE database = current_database() LIMIT 5",
  );
  const names = [
    ...rows.map(([pid, user, application, age]) => `pid ${pid} (${user} ${application}, open for ${age})`),
    ...prepared.map(([gid]) => `prepared transaction ${gid}`),
  ];
  return new WeirError(
    "postgres_slot_wait",
    `A replication slot cannot be created while transactions that began before it go on: ${names.join(", ") || "not visible to this role"}.`,
    { cause },
  );
}

/** What a slot cannot yield any more. */
export interface Gap {
  readonly code:
    | "postgres_slot_exists"
    | "postgres_slot_missing"
    | "postgres_slot_ahead"
    | "postgres_slot_lost"
    | "postgres_system_changed";
  /** What was lost, for people. */
  readonly message: string;
}

/**
 * Whether every transaction behind a saved position can still be had.
 *
 * @param saved end of the last transaction that is in our log, and when it was committed
 */
export function gapOf(
  name: string,
  saved: { lsn: Lsn; at: string | null },
  slot: SlotState | undefined,
): Gap | undefined {
  const since = `after ${formatLsn(saved.lsn)}${saved.at === null ? "" : ` (last captured: committed ${saved.at})`}`;
  if (slot === undefined) {
    return {
      code: "postgres_slot_missing",
      message: `The replication slot ${name} is gone. What was committed ${since} and before a new slot begins cannot be streamed.`,
    };
  }
  if (slot.lost !== null) {
    return {
      code: "postgres_slot_lost",
      message: `The server gave up the replication slot ${name} (${slot.lost}). What was committed ${since} cannot be streamed.`,
    };
  }
  if (slot.confirmed !== null && slot.confirmed > saved.lsn) {
    const bytes = slot.confirmed - saved.lsn;
    return {
      code: "postgres_slot_ahead",
      message:
        `The replication slot ${name} was moved to ${formatLsn(slot.confirmed)} without us: the transactions in the ` +
        `${bytes} bytes of write-ahead log ${since} will not be streamed.`,
    };
  }
  return undefined;
}
