/** A position in the write-ahead log: a byte count since the cluster was made. Nominal, as it is easily swapped. */
export type Lsn = bigint & { readonly __lsn: never };

export const zeroLsn = 0n as Lsn;

/** As PostgreSQL writes it: `16/B374D848`. */
export function parseLsn(text: string): Lsn {
  const match = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(text);
  if (match === null) throw new RangeError(`${text} is no position in the write-ahead log`);
  return ((BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)) as Lsn;
}

export const formatLsn = (lsn: Lsn): string =>
  `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`;

/** The first Lsn that a version holds at most: the byte above it counts timelines of ours (see `Epoch`). */
const epochShift = 56n;

/**
 * Counts how often the write-ahead log that a source is read from was replaced by one that does not continue it: another
 * cluster under the same address, a restore to a point before what was captured. Versions of a later epoch are newer
 * whatever the Lsn, of which 56 bits (64 PB of log) remain.
 */
export type Epoch = number;

export const maxEpoch: Epoch = 255;

/** 16 hexadecimal digits that sort as (epoch, lsn). */
export const versionLsn = (epoch: Epoch, lsn: Lsn): string =>
  ((BigInt(epoch) << epochShift) | lsn).toString(16).padStart(16, "0");

export const hex8 = (n: number): string => n.toString(16).padStart(8, "0");

/** Microseconds from 1970 to 2000, where PostgreSQL counts from. */
const postgresEpochUs = 946_684_800_000_000n;

/** RFC 3339 in UTC with microseconds, of microseconds since 2000 (a `TimestampTz` on the wire). */
export function instantText(sincePostgresEpochUs: bigint): string {
  const us = sincePostgresEpochUs + postgresEpochUs;
  const micros = ((us % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const seconds = Number((us - micros) / 1_000_000n);
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${micros.toString().padStart(6, "0")}Z`;
}
