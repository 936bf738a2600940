/**
 * `npm run demo`: starts a store with a real PostgreSQL, and Weir on PulseCart's project; lets real clients send to it from a
 * process of their own, and shows what becomes of the records. At the end it compares Weir's tables with the clients' own
 * books and with the store's database.
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
import { StorePart } from "./demo/store-part.ts";
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

/** From the start of the store and of Weir to their end. */
async function run(options: DemoOptions, dataDir: string, stopping: Stopping): Promise<Outcome> {
  const log = openLog(dataDir);
  if (options.store) console.log("Starting the store, with a PostgreSQL server of its own ...");
  const started = await StorePart.start(options, dataDir, log);
  const [store, noStore] = typeof started === "string" ? [undefined, started] : [started, undefined];
  if (noStore !== undefined) console.log(`The store ${noStore}. Everything else goes on without it.`);
  try {
    if (store !== undefined) stopping.failWith(store.unexpectedEnd);
    console.log(`Starting Weir on ${shown(project)}/weir.config.ts, with its data in ${shown(dataDir)} ...`);
    const environment = store?.environment ?? {};
    const platform = await Platform.start({ project, dataDir, port: options.port, environment, log });
    stopping.onSecond(() => platform.kill());
    const clients = new ClientProcess(clientsOptions(options, platform.url), log);
    stopping.onSecond(() => clients.kill());
    stopping.failWith(platform.unexpectedEnd);
    stopping.failWith(clients.ledger);
    store?.open(platform.url);
    try {
      // A machine that is slow to start processes has traffic for as long as any other.
      await stopping.guard(clients.opened);
      if (options.forMs !== undefined) stopping.after(options.forMs);
      const startedAt = performance.now();
      const display = displayFor();
      await watch({ platform, clients, store, display, stopping, options, dataDir: shown(dataDir) });
      display.close();
      const outcome = await finish({ platform, clients, store, stopping });
      return { ...outcome, elapsedMs: performance.now() - startedAt, noStore };
    } finally {
      clients.kill();
      await platform.stop();
    }
  } finally {
    await store?.close();
  }
}

function clientsOptions({ seed, rate }: DemoOptions, url: string): ClientsOptions {
  // A morning of last week: even hours of demo, at 60 times the speed, stay in the past.
  const day = new Date(Date.now() - 7 * 86_400_000);
  const opensAt = Date.UTC(day.getUTCFullYear(), day.getUTCMonth(), day.getUTCDate(), 8);
  return { url, seed, opensAt, rate, speed, patienceMs };
}

/** Stops the clients and the store, then lets Weir load, check and be compared. */
async function finish(parts: {
  readonly platform: Platform;
  readonly clients: ClientProcess;
  readonly store: StorePart | undefined;
  readonly stopping: Stopping;
}): Promise<Pick<Outcome, "ledger" | "verify" | "comparisons" | "store">> {
  const { platform, clients, store, stopping } = parts;
  const { url } = platform;
  console.log(`\nWeir ran at ${url}. Clients and store stop and deliver what they still hold ...`);
  const [ledger, books] = await stopping.guard(Promise.all([clients.stop(), store?.finish(url)]));
  console.log("weir drain: loads everything that was acknowledged ...");
  const drained = await stopping.guard(platform.command("drain", "--timeout", drainTimeout));
  if (drained.code !== 0) {
    throw new DemoFailure(`weir drain ended with exit code ${drained.code}.`, "The log, above, says why.");
  }
  console.log("weir verify: conservation, unique ids, files and their checksums ...");
  const verified = await stopping.guard(platform.command("verify"));
  const verify = JSON.parse(verified.output) as VerifyReport;
  const comparisons = await stopping.guard(reconcile(new Api(url), ledger));
  const compared =
    store === undefined || books === undefined ? undefined : await stopping.guard(store.compare(url, books));
  return { ledger, verify, comparisons, store: compared };
}

function displayFor(): Display {
  return process.stdout.isTTY ? new TerminalDisplay(process.stdout, paint) : new LineDisplay();
}

process.exitCode = await main();
