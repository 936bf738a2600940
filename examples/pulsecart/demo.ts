/**
 * `npm run demo`: starts Weir on PulseCart's project, lets real clients send to it from a process of their own, and shows
 * what becomes of the records. At the end it compares Weir's tables with the clients' own books.
 */
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { ClientsOptions } from "./clients/messages.ts";
import { Api } from "./demo/api.ts";
import { ClientProcess } from "./demo/client-process.ts";
import { lastLines, openLog, prepareDataDir, releaseDataDir, removeDataDir } from "./demo/data-directory.ts";
import { LineDisplay, TerminalDisplay } from "./demo/display.ts";
import type { Display } from "./demo/display.ts";
import { DemoFailure } from "./demo/failure.ts";
import { parseOptions, usage } from "./demo/options.ts";
import type { DemoOptions } from "./demo/options.ts";
import { Platform } from "./demo/platform.ts";
import { reconcile } from "./demo/reconcile.ts";
import { Stopping } from "./demo/stopping.ts";
import { nextLines, shown, succeeded, summaryLines } from "./demo/summary.ts";
import type { Outcome, VerifyReport } from "./demo/summary.ts";
import { paintFor } from "./demo/text.ts";
import { watch } from "./demo/watch.ts";

const project = dirname(fileURLToPath(import.meta.url));
const paint = paintFor(process.stdout.isTTY && process.env["NO_COLOR"] === undefined);

/** Of the shop's clock in a real second: a visit of ten minutes fits into ten seconds. */
const speed = 60;
const patienceMs = 120_000;
const drainTimeout = "5m";

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (typeof options === "string") {
    console.error(options === "" ? usage : `${options}\n\n${usage}`);
    return options === "" ? 0 : 2;
  }
  const dataDir = resolve(options.dataDir ?? join(project, ".weir-demo"));
  const stopping = new Stopping();
  try {
    prepareDataDir(dataDir);
    const outcome = await run(options, dataDir, stopping);
    for (const line of summaryLines(outcome, paint)) console.log(line);
    const kept = options.keep || !succeeded(outcome);
    if (kept) releaseDataDir(dataDir);
    else removeDataDir(dataDir);
    for (const line of nextLines({ kept, dataDir, project })) console.log(line);
    return succeeded(outcome) ? 0 : 1;
  } catch (error) {
    if (!(error instanceof DemoFailure)) throw error;
    for (const line of lastLines(dataDir, 15)) console.error(paint.dim(line));
    console.error(`${paint.red(error.message)} ${error.remedy}`);
    return 1;
  } finally {
    stopping.close();
  }
}

/** From the start of Weir to its end. */
async function run(options: DemoOptions, dataDir: string, stopping: Stopping): Promise<Outcome> {
  const log = openLog(dataDir);
  console.log(`Starting Weir on ${shown(project)}/weir.config.ts, with its data in ${shown(dataDir)} ...`);
  const platform = await Platform.start({ project, dataDir, port: options.port, log });
  stopping.onSecond(() => platform.kill());
  const clients = new ClientProcess(clientsOptions(options, platform.url), log);
  stopping.onSecond(() => clients.kill());
  stopping.failWith(platform.unexpectedEnd);
  stopping.failWith(clients.ledger);
  try {
    if (options.forMs !== undefined) stopping.after(options.forMs);
    const startedAt = performance.now();
    const display = displayFor();
    await watch({ platform, clients, display, stopping, options, dataDir: shown(dataDir) });
    display.close();
    return await finish(platform, clients, stopping, startedAt);
  } finally {
    clients.kill();
    await platform.stop();
  }
}

function clientsOptions({ seed, rate }: DemoOptions, url: string): ClientsOptions {
  // A morning of last week: even hours of demo, at 60 times the speed, stay in the past.
  const day = new Date(Date.now() - 7 * 86_400_000);
  const opensAt = Date.UTC(day.getUTCFullYear(), day.getUTCMonth(), day.getUTCDate(), 8);
  return { url, seed, opensAt, rate, speed, patienceMs };
}

/** Stops the clients, then lets Weir load, check and be compared. */
async function finish(
  platform: Platform,
  clients: ClientProcess,
  stopping: Stopping,
  startedAt: number,
): Promise<Outcome> {
  console.log(`\nWeir ran at ${platform.url}. The clients stop and deliver what they still hold ...`);
  const ledger = await stopping.guard(clients.stop());
  const elapsedMs = performance.now() - startedAt;
  console.log("weir drain: loads everything that was acknowledged ...");
  const drained = await stopping.guard(platform.command("drain", "--timeout", drainTimeout));
  if (drained.code !== 0) {
    throw new DemoFailure(`weir drain ended with exit code ${drained.code}.`, "The log, above, says why.");
  }
  console.log("weir verify: conservation, unique ids, files and their checksums ...");
  const verified = await stopping.guard(platform.command("verify"));
  const verify = JSON.parse(verified.output) as VerifyReport;
  const comparisons = await stopping.guard(reconcile(new Api(platform.url), ledger));
  return { elapsedMs, ledger, verify, comparisons };
}

function displayFor(): Display {
  return process.stdout.isTTY ? new TerminalDisplay(process.stdout, paint) : new LineDisplay();
}

process.exitCode = await main();
