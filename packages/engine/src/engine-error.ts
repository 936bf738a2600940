import { WeirError } from "@weir/contract";
import type { ErrorCode } from "@weir/contract";

const full = /No space left on device|disk quota/i;

/** By the system's error code. */
const codes = new Map<string, ErrorCode>([
  ["ENOSPC", "state_disk_full"],
  ["EDQUOT", "state_disk_full"],
  ["EACCES", "state_unreadable"],
  ["EPERM", "state_unreadable"],
  ["EROFS", "state_unreadable"],
  ["EIO", "state_unreadable"],
]);

/**
 * What an operator should read of an error that ended the engine or kept it from starting. A WeirError passes
 * unchanged; failures of the file system, which DuckDB tells in its messages only, get the code of their cause.
 *
 * @param otherwise the code of what cannot be told from the error
 */
export function engineError(
  error: unknown,
  otherwise: ErrorCode = "engine_statement_failed",
  where?: string,
): WeirError {
  if (error instanceof WeirError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const place = where === undefined ? {} : { where };
  if (full.test(message))
    return new WeirError("state_disk_full", `The disk is full: ${message}`, { ...place, cause: error });
  if (/out of memory/i.test(message))
    return new WeirError("engine_out_of_memory", message, { ...place, cause: error });
  const errno = error instanceof Error && "code" in error ? String(error.code) : "";
  return new WeirError(codes.get(errno) ?? otherwise, message, { ...place, cause: error });
}
