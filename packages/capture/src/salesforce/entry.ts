/** What the composition root loads for sources of kind `salesforce`. */
export { createSalesforceCapture } from "./capture.ts";
export type { SalesforceCaptureOptions } from "./capture.ts";
export { createSalesforceInterval } from "./interval.ts";
