/** What runs sources of kind files; loaded only where a project has one. */
export { createFilesCapture } from "./capture.ts";
export type { FilesCaptureOptions } from "./capture.ts";
export { FilesBackfill, backfillSource } from "./backfill.ts";
export type { BackfillFile } from "./backfill.ts";
