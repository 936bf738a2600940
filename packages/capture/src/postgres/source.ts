import { WeirError, changeContract, durationMs, rowTagsProblem } from "@weir/contract";
import type { Contract, Duration, RowTags } from "@weir/contract";
import { TablePatterns } from "./patterns.ts";

export interface PostgresOptions {
  /** `postgres://user:password@host:5432/database?sslmode=require`, of the primary server. */
  readonly url: string;
  /**
   * Which tables: `["public.*", "!public.audit_*"]`. The last pattern that fits a table decides; `*` stands for any
   * characters, `?` for one. Tables that are made later and fit are captured as well.
   */
  readonly tables: readonly string[];
  /** Replication slot; default `weir_<source>`. Made, and kept in the server, by Weir. */
  readonly slot?: string;
  /** Publication; default `weir_<source>`. Made by Weir unless it exists. */
  readonly publication?: string;
  readonly snapshot?: {
    /** Most rows that one query reads; default 50,000. */
    readonly rows?: number;
    /** Tables that are read side by side; default 2. */
    readonly connections?: number;
  };
  /** How often the slot and the tables are looked at, and an idle database is given a sign of life; default "30s". */
  readonly heartbeat?: Duration | number;
  /**
   * What to do when changes cannot be streamed any more (the slot was dropped, moved, or belongs to another server):
   * `stop` says what was lost and waits for somebody to decide; `snapshot` reads all tables again. Default `stop`.
   */
  readonly onGap?: "stop" | "snapshot";
  /** Personal columns, by stream: `{ "public.customers": { id: "subject", email: "email" } }`. See docs/guide/privacy.md. */
  readonly pii?: RowTags;
}

/** A PostgreSQL database whose tables are captured, declared. Plain data; the url may hold a password. */
export interface PostgresSource {
  readonly kind: "postgres";
  readonly url: string;
  readonly tables: readonly string[];
  readonly slot: string | undefined;
  readonly publication: string | undefined;
  readonly snapshot: { readonly rows: number; readonly connections: number };
  readonly heartbeatMs: number;
  readonly onGap: "stop" | "snapshot";
  /** Personal columns, by stream. */
  readonly pii: RowTags;
  /** The contracts of its records, which are under the name that the project gives the source. */
  contractsFor(source: string): readonly Contract[];
}

/**
 * Declares a source that mirrors tables of a PostgreSQL database: first their rows, then every change, by logical
 * replication. Versions 10 to 18.
 *
 * @throws WeirError `invalid_source`, `duration_invalid`
 */
export function postgres(options: PostgresOptions): PostgresSource {
  const { url, tables, slot, publication, snapshot = {}, heartbeat = "30s", onGap = "stop" } = options;
  if (typeof url !== "string" || !/^postgres(ql)?:\/\//.test(url)) {
    throw invalid("url must begin with postgres://");
  }
  try {
    TablePatterns.check(tables);
  } catch (cause) {
    throw invalid(`tables: ${(cause as Error).message}`);
  }
  for (const name of [slot, publication]) {
    if (name !== undefined && !/^[a-z0-9_]{1,63}$/.test(name)) {
      throw invalid(
        `${JSON.stringify(name)}: slots and publications are named with 1 to 63 of a-z, 0-9 and _`,
      );
    }
  }
  const { rows = 50_000, connections = 2 } = snapshot;
  if (!Number.isInteger(rows) || rows < 1) throw invalid("snapshot.rows must be a whole number above 0");
  if (!Number.isInteger(connections) || connections < 1 || connections > 64) {
    throw invalid("snapshot.connections must be 1 to 64");
  }
  if (onGap !== "stop" && onGap !== "snapshot") throw invalid('onGap must be "stop" or "snapshot"');
  const heartbeatMs = durationMs(heartbeat);
  if (heartbeatMs < 100) throw invalid("heartbeat must be at least 100 ms");
  const { pii = {} } = options;
  const problem = rowTagsProblem(pii);
  if (problem !== undefined) throw invalid(problem);
  return {
    kind: "postgres",
    url,
    tables: [...tables],
    slot,
    publication,
    snapshot: { rows, connections },
    heartbeatMs,
    onGap,
    pii,
    contractsFor: (source) => [changeContract(source, pii)],
  };
}

/** The replication slot and the publication of a source, which the project has named. */
export function serverNames(
  { slot: given, publication }: PostgresSource,
  source: string,
): { readonly slot: string; readonly publication: string } {
  const slot = given ?? `weir_${source.replaceAll("-", "_")}`.slice(0, 63);
  return { slot, publication: publication ?? slot };
}

const invalid = (message: string): WeirError =>
  new WeirError("invalid_source", `PostgreSQL source: ${message}.`, { where: "postgres source" });
