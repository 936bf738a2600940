export { directoryStore } from "./directory.ts";
export type { DirectoryStoreOptions } from "./directory.ts";
export { failpoint, logFailpoints } from "./failpoint.ts";
export { formatPosition, parsePosition } from "./position.ts";
export type { Position, StreamName } from "./position.ts";
export type {
  LatencyHistogram,
  LogEvent,
  LogStore,
  SegmentHead,
  SegmentRef,
  SegmentWriter,
  WriterStats,
} from "./store.ts";
