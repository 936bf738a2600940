export { WeirError, errorCodes } from "./errors.ts";
export type { ErrorCode, ErrorCodeEntry, WeirErrorDetails } from "./errors.ts";
