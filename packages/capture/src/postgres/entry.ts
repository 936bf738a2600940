/** What the composition root loads for sources of kind `postgres`. */
export { createPostgresCapture } from "./postgres-capture.ts";
export type { PostgresCaptureOptions } from "./postgres-capture.ts";
export { createPostgresInterval } from "./interval.ts";
export type { PostgresIntervalOptions } from "./interval.ts";
