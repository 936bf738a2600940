/** Exit codes of the command, the same for every subcommand; docs/reference/cli.md is tested against this list. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  projectInvalid: 3,
  notRunning: 4,
  locked: 5,
  internal: 70,
  /** A second signal ended an instance before its drain was done. 128 + SIGINT, as shells have it. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

const byErrorCode: Readonly<Record<string, ExitCode>> = {
  invalid_usage: exitCodes.usage,
  would_overwrite: exitCodes.usage,
  query_invalid: exitCodes.usage,
  query_not_readonly: exitCodes.usage,
  project_not_found: exitCodes.projectInvalid,
  project_invalid: exitCodes.projectInvalid,
  project_env_missing: exitCodes.projectInvalid,
  contract_invalid: exitCodes.projectInvalid,
  contract_changed: exitCodes.projectInvalid,
  duration_invalid: exitCodes.projectInvalid,
  invalid_source: exitCodes.projectInvalid,
  tls_invalid: exitCodes.usage,
  not_running: exitCodes.notRunning,
  engine_unavailable: exitCodes.notRunning,
  already_running: exitCodes.locked,
  engine_locked: exitCodes.locked,
  log_writer_locked: exitCodes.locked,
  port_in_use: exitCodes.locked,
  internal_error: exitCodes.internal,
};

/**
 * The exit code for an error code: what a script should do differently. Everything that is not said above is 1: the
 * command understood, tried, and the answer is no.
 */
export function exitCodeFor(errorCode: string): ExitCode {
  return byErrorCode[errorCode] ?? exitCodes.failed;
}
