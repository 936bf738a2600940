/** Declarations of pull sources and what runs them. Connectors are imported from their own entries, lazily. */
export { changeRecord } from "./capture.ts";
export type { Capture, CaptureContext, CapturedRecord, CaptureStatus, Finding } from "./capture.ts";
export type { Interval, IntervalCapture, IntervalPart } from "./interval.ts";
export type { LineBuffer } from "./line-buffer.ts";
export { captureCursorFile, runCapture } from "./runner.ts";
export type { RunnerOptions } from "./runner.ts";
export { postgres } from "./postgres/source.ts";
export type { PostgresOptions, PostgresSource } from "./postgres/source.ts";
export { stripe } from "./stripe/declare.ts";
export type { StripeOptions, StripeSource } from "./stripe/declare.ts";
export { salesforce } from "./salesforce/declare.ts";
export type { SalesforceAuth, SalesforceOptions, SalesforceSource } from "./salesforce/declare.ts";
export { files } from "./files/declare.ts";
export type { CsvOptions, FileFormat, FilesOptions, FilesSource } from "./files/declare.ts";
