/** What the composition root loads for sources of kind `stripe`. */
export { createStripeCapture } from "./capture.ts";
export type { StripeCaptureOptions } from "./capture.ts";
export { createStripeInterval } from "./interval.ts";
export { stripeWebhook } from "./webhook.ts";
export type { StripeWebhook } from "./webhook.ts";
