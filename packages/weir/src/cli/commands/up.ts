import { resolve } from "node:path";
import { WeirError, durationMs } from "@weir/contract";
import type { ExitCode } from "../../exit-code.ts";
import { findProject } from "../../load.ts";
import { shownPath } from "../../load-error.ts";
import { createLogger } from "../../processes/logger.ts";
import type { LogFormat } from "../../processes/logger.ts";
import { Supervisor } from "../../processes/supervisor.ts";
import type { SupervisorOptions } from "../../processes/supervisor.ts";
import { dataDirOf } from "../place.ts";
import type { UpOptions } from "../program.ts";
import { paint, result } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";
import { untilSignal } from "../until-signal.ts";

/** Runs the project until a signal. Prints one result when every process is ready. */
export async function up(terminal: Terminal, options: UpOptions): Promise<ExitCode> {
  const supervisor = await Supervisor.start(supervisorOptions(options));
  return await untilSignal(supervisor, async () => {
    if (await supervisor.ready()) announce(terminal, supervisor, options);
  });
}

export function supervisorOptions(options: UpOptions): SupervisorOptions {
  const logFormat: LogFormat = options.logFormat ?? (process.stderr.isTTY ? "human" : "json");
  return {
    projectFile: findProject(options.project),
    dataDir: dataDirOf(options),
    role: options.role,
    collectors: options.collectors,
    host: options.host,
    port: options.port,
    tls: tlsFiles(options),
    drainTimeoutMs: durationMs(options.drainTimeout),
    logFormat,
    logger: createLogger("supervisor", logFormat),
  };
}

/** @throws WeirError `invalid_usage` where only one of the two is named */
function tlsFiles({ tlsCert, tlsKey }: UpOptions): SupervisorOptions["tls"] {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert !== undefined && tlsKey !== undefined) return { cert: resolve(tlsCert), key: resolve(tlsKey) };
  throw new WeirError("invalid_usage", "TLS needs a certificate and its key.", {
    remedy: "Give both --tls-cert and --tls-key, or WEIR_TLS_CERT and WEIR_TLS_KEY.",
  });
}

/** Says where the instance is. With --json: `{url, socket, pid, dataDir}`. */
export function announce(terminal: Terminal, supervisor: Supervisor, options: UpOptions): void {
  const dataDir = dataDirOf(options);
  const { url } = supervisor;
  const place = { url, socket: supervisor.engineSocket, pid: process.pid, dataDir };
  result(terminal, place, () => {
    const lines = [
      `${paint(terminal, "green", "Weir is up")} (pid ${process.pid}). Ctrl-C drains and stops.`,
    ];
    if (url !== undefined) lines.push(`  records  POST ${url}/v1/events`);
    lines.push(`  data     ${shownPath(dataDir)}`, '  look     weir status --watch, weir query "SELECT ..."');
    return lines.join("\n");
  });
}
