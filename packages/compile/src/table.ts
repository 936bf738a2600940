import type { Contract } from "@weir/contract";
import type { Measure } from "./measure.ts";

/** Gap-based sessions per key. Records with no key belong to no session. */
export interface SessionsSpec {
  readonly kind: "sessions";
  readonly from: readonly Contract[];
  readonly by: readonly string[];
  readonly gapMs: number;
  readonly measures: Readonly<Record<string, Measure>>;
}

/** Measures per group and, where there is a window, per event-time window; without one, running totals. */
export interface RollupSpec {
  readonly kind: "rollup";
  readonly from: readonly Contract[];
  readonly by: readonly string[];
  readonly windowMs?: number;
  readonly measures: Readonly<Record<string, Measure>>;
}

export type TableSpec = SessionsSpec | RollupSpec;

/** A source as the compiler sees it: what it may bring. */
export interface SourceContracts {
  readonly contracts: readonly Contract[];
}

/** A project: what `defineProject` takes, less what only other packages need. */
export interface ProjectSpec {
  readonly name: string;
  readonly sources: Readonly<Record<string, SourceContracts>>;
  readonly tables: Readonly<Record<string, TableSpec>>;
}
