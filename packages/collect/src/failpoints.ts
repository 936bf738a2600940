/** The steps of a request at which a test can kill the collector (`failpoint` of the log), in their order. */
export const collectFailpoints = [
  "collect.request.received",
  "collect.request.read",
  "collect.request.durable",
  "collect.request.answered",
] as const;
