import type { PlainError } from "./messages.ts";

/**
 * Errors of a start that trying again does not cure: somebody has to change a file, a setting or a permission. All
 * others (a lock that a dying predecessor still holds, a full disk, a crash) are tried again with a growing delay.
 */
const permanentCodes: ReadonlySet<string> = new Set([
  "project_not_found",
  "project_invalid",
  "project_env_missing",
  "contract_invalid",
  "duration_invalid",
  "invalid_source",
  "invalid_usage",
  "port_in_use",
  "address_unavailable",
  "data_dir_unwritable",
  "log_unwritable",
  "log_invalid_name",
  "state_version",
  "contract_changed",
  "history_removed",
]);

export function isPermanent(error: PlainError): boolean {
  return permanentCodes.has(error.code);
}
