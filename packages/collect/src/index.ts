export type { RecordErrorCode } from "./scan.ts";
export { defaultCollectorLimits, defaultSourceLimits } from "./limits.ts";
export type { CollectorLimits, SourceLimits } from "./limits.ts";
export type { Readiness } from "./readiness.ts";
export { createCollector } from "./server.ts";
export type { Collector, CollectorOptions } from "./server.ts";
export { http } from "./source.ts";
export type { HttpSource, HttpSourceOptions } from "./source.ts";
export type { CollectorStats, SourceCounts } from "./stats.ts";
