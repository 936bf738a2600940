import type { ErrorCode } from "@weir/contract";
import type { StreamName } from "./position.ts";

/**
 * Where segments live. A directory implements it, an object store can: nothing here assumes a file that grows.
 *
 * A stream is one writer of one source. Its segments are numbered from 1; they become visible in the order of
 * their numbers, without gaps, and never change afterwards. Oldest first, `remove` takes them away again. A number
 * that was ever visible is never given to other records, also after every segment was removed. Any number of
 * processes may read; one process may write a stream, and one may remove from it.
 */
export interface LogStore {
  /**
   * Takes the stream for this process alone, repairs what a crash left and readies it for new records, which go
   * to a new segment. Throws `log_writer_locked` (with the owner's pid), `log_invalid_name`, `log_unwritable`,
   * `log_disk_full` or `log_io_error`.
   */
  openWriter(source: string, writer: string): Promise<SegmentWriter>;

  /** Every stream there is, in order of source and writer. A stream exists once a writer was opened. */
  streams(): Promise<StreamName[]>;

  /**
   * How far each stream reaches. Costs a listing of the log, so it is for draining and status, not for the hot
   * path. Every record acknowledged before the call is in a segment numbered up to `sealed`, or in `open`.
   */
  heads(): Promise<SegmentHead[]>;

  /**
   * Up to `limit` sealed segments that follow `number`, in order; from the oldest kept if `number` was removed.
   * Costs O(limit), however long the stream. A segment is never skipped because a later one was seen first.
   * Throws `segment_corrupt` if the first of them cannot be described; a later one only ends the list before it.
   */
  sealedAfter(source: string, writer: string, number: number, limit: number): Promise<SegmentRef[]>;

  /**
   * A local file with the segment's bytes, verified against the seal: length, record count, CRC-32. Throws
   * `segment_corrupt` or `segment_missing`. The file stays valid until the segment is removed.
   */
  materialize(ref: SegmentRef): Promise<string>;

  /**
   * Removes the segment and whatever of its stream is older; durable when it resolves. Removing what is gone
   * already does nothing. Calls on one stream must come from one process.
   */
  remove(ref: SegmentRef): Promise<void>;
}

/** A sealed segment: immutable. Sizes in bytes, times in microseconds since the epoch. */
export interface SegmentRef extends StreamName {
  readonly number: number;
  readonly records: number;
  /** Length of the whole file, markers included. */
  readonly bytes: number;
  /** The smallest and largest `received` of its records. */
  readonly firstReceivedUs: number;
  readonly lastReceivedUs: number;
  /** CRC-32 (zlib) of everything before the seal marker. */
  readonly crc32: number;
}

/** See `LogStore.heads`. */
export interface SegmentHead extends StreamName {
  /** The highest number ever sealed, removed ones included; 0 if there was none. */
  readonly sealed: number;
  /**
   * The open segment, if it has at least one complete group. It is sealed soon where a writer runs. If its group
   * then fails to become durable (it was not acknowledged), it may vanish, so ask again while waiting for it.
   */
  readonly open?: number;
}

export interface SegmentWriter extends StreamName {
  /**
   * Appends records; resolves when they are durable, rejects if they are not (they may then still have become so).
   *
   * `lines` is the concatenation of the records, each columns 2 to 7 of its log line and the LF; `lengths[i]` is
   * the byte length of record i. Both are copied before this returns. One append is durable as a whole or not at
   * all, and appends get line numbers in the order of the calls. Rejects with `log_full`, `log_disk_full`,
   * `log_overloaded`, `log_unwritable`, `log_io_error`, `log_append_too_large`, `log_writer_locked` (taken over by
   * another process) or `log_writer_closed`; every one but `log_append_too_large` is worth another try later.
   * Lines that are not framed as above are our own bug: a plain RangeError.
   */
  append(lines: Uint8Array, lengths: Uint32Array): Promise<void>;

  /** Resolves when every record appended before is in a sealed segment. Does nothing if there is none open. */
  seal(): Promise<void>;

  /** Refuses new appends, seals, and gives the stream free, also when sealing fails (then it rejects). */
  close(): Promise<void>;

  stats(): WriterStats;
}

/** Counted since the writer was opened, in memory: reading them costs nothing. */
export interface WriterStats {
  readonly records: number;
  /** Of records with their line numbers, without markers. */
  readonly bytes: number;
  readonly groups: number;
  readonly sealed: number;
  /** Appends refused or failed. */
  readonly rejected: number;
  /** Bytes of unacknowledged records that were found torn and cut, at start or after a failure. */
  readonly cutBytes: number;
  /** Bytes of acknowledged records found damaged and set aside; anything but 0 is an alarm. */
  readonly damagedBytes: number;
  /** Bytes gathered or being written, not yet durable. */
  readonly pendingBytes: number;
  /** Bytes of this stream on disk, as of the last look plus what was written since. */
  readonly diskBytes: number;
  /** Whether appends are refused with `log_full`. */
  readonly full: boolean;
  readonly sync: LatencyHistogram;
}

/** Durations of the write and fsync of a group. `counts[i]` counts those up to `boundsMs[i]`; the last is the rest. */
export interface LatencyHistogram {
  readonly boundsMs: readonly number[];
  readonly counts: readonly number[];
  readonly count: number;
  readonly sumMs: number;
  readonly maxMs: number;
}

/** What an operator should be able to find in the logs of the process. */
export interface LogEvent extends StreamName {
  readonly kind:
    | "lock_taken_over"
    | "tail_cut"
    | "damaged"
    | "segment_abandoned"
    | "segments_missing"
    | "full"
    | "room";
  readonly message: string;
  readonly number?: number;
  readonly bytes?: number;
  readonly code?: ErrorCode;
}
