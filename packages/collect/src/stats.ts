import type { ErrorCode } from "@weir/contract";
import type { LatencyHistogram } from "@weir/log";

/** Counted since the collector started, in memory. */
export interface CollectorStats {
  /** Answers of `/v1` by protocol and HTTP status. */
  readonly requests: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Refused requests by error code. */
  readonly refused: Readonly<Partial<Record<ErrorCode, number>>>;
  /** Requests whose client went away before they were whole. */
  readonly abandoned: number;
  /** Acknowledged records by source: readable ones, and unreadable ones by error code. */
  readonly records: Readonly<Record<string, SourceCounts>>;
  /** Of acknowledged requests: body bytes as sent, and once decompressed. */
  readonly sentBytes: number;
  readonly bodyBytes: number;
  /** From the headers of a request to its answer. */
  readonly latency: LatencyHistogram;
  /** Request bodies in memory, and open connections, at this moment. */
  readonly inFlightBytes: number;
  readonly connections: number;
}

export interface SourceCounts {
  readonly readable: number;
  readonly unreadable: Readonly<Partial<Record<ErrorCode, number>>>;
}

interface MutableSourceCounts {
  readable: number;
  unreadable: Partial<Record<ErrorCode, number>>;
}

const boundsMs = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];

export class Counters {
  readonly requests: Record<string, Record<string, number>> = {};
  readonly refused: Partial<Record<ErrorCode, number>> = {};
  readonly records: Record<string, MutableSourceCounts> = {};
  abandoned = 0;
  sentBytes = 0;
  bodyBytes = 0;
  #latencies = boundsMs.map(() => 0).concat(0);
  #latencySumMs = 0;
  #latencyMaxMs = 0;

  answered(protocol: string, status: number, ms: number): void {
    const byStatus = (this.requests[protocol] ??= {});
    byStatus[status] = (byStatus[status] ?? 0) + 1;
    let bucket = 0;
    while (bucket < boundsMs.length && ms > boundsMs[bucket]!) bucket++;
    this.#latencies[bucket]! += 1;
    this.#latencySumMs += ms;
    this.#latencyMaxMs = Math.max(this.#latencyMaxMs, ms);
  }

  refusal(code: ErrorCode): void {
    this.refused[code] = (this.refused[code] ?? 0) + 1;
  }

  acknowledged(source: string, readable: number, unreadable: ReadonlyMap<ErrorCode, number>): void {
    const counts = (this.records[source] ??= { readable: 0, unreadable: {} });
    counts.readable += readable;
    for (const [code, count] of unreadable) counts.unreadable[code] = (counts.unreadable[code] ?? 0) + count;
  }

  snapshot(now: { inFlightBytes: number; connections: number }): CollectorStats {
    return structuredClone({
      requests: this.requests,
      refused: this.refused,
      abandoned: this.abandoned,
      records: this.records,
      sentBytes: this.sentBytes,
      bodyBytes: this.bodyBytes,
      latency: {
        boundsMs,
        counts: this.#latencies,
        count: this.#latencies.reduce((sum, count) => sum + count, 0),
        sumMs: this.#latencySumMs,
        maxMs: this.#latencyMaxMs,
      },
      ...now,
    });
  }
}
