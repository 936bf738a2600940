/** What runs sources of kind files; loaded only where a project has one. */
export { createFilesCapture } from "./capture.ts";
export type { FilesCaptureOptions } from "./capture.ts";
