import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, vi } from "vitest";
import { isAlive } from "../processes/identity.ts";
import type { ProcessIdentity } from "../processes/identity.ts";
import type { InstanceFile } from "../processes/run-files.ts";

// Every process of the real command takes half a second of processor time; a busy machine multiplies it.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

const packageFolder = fileURLToPath(new URL("../../", import.meta.url));
const command = join(packageFolder, "bin", "weir.mjs");

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A project with one source, one contract and one table. */
export const smallProject = `
import { Type, contract, count, defineProject, http, rollup, timestamp } from "weir";

const Clicked = contract("clicked", {
  version: "1.0.0", owner: "tests", id: "id", time: "at", lateness: "24h",
  fields: Type.Object({ id: Type.String(), at: timestamp(), page: Type.String() }),
});

export default defineProject({
  name: "small",
  sources: { web: http({ contracts: [Clicked] }) },
  tables: { clicks: rollup({ from: Clicked, by: "page", measures: { n: count() } }) },
});
`;

/** The same with one more table, for reloads. */
export const largerProject = smallProject.replace(
  "tables: {",
  "tables: { all_clicks: rollup({ from: Clicked, measures: { n: count() } }),",
);

/** A folder outside the repository in which the real command is run. */
export class Sandbox {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), "weir-cli-")));
  readonly #started: ChildProcess[] = [];
  readonly #instances: Instance[] = [];

  /** @param files by path within the folder; `package.json` is made where it is not among them */
  constructor(files: Readonly<Record<string, string>> = { "weir.config.ts": smallProject }) {
    this.write({ "package.json": '{"type": "module"}', ...files });
    mkdirSync(join(this.folder, "node_modules"));
    symlinkSync(packageFolder, join(this.folder, "node_modules", "weir"));
  }

  get dataDir(): string {
    return join(this.folder, ".weir");
  }

  write(files: Readonly<Record<string, string>>): void {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.folder, path)), { recursive: true });
      writeFileSync(join(this.folder, path), text);
    }
  }

  /** Runs the command to its end. */
  async run(
    args: readonly string[],
    options: { input?: string; env?: NodeJS.ProcessEnv } = {},
  ): Promise<Ran> {
    const child = this.#spawn(args, options.env);
    child.stdin?.end(options.input ?? "");
    const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
    const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
    return { code, stdout: stdout(), stderr: stderr() };
  }

  /** Runs the command with --json and parses what it printed. */
  async json(args: readonly string[]): Promise<{ code: number | null; value: unknown; error: unknown }> {
    const { code, stdout, stderr } = await this.run([...args, "--json"]);
    return {
      code,
      value: stdout === "" ? undefined : JSON.parse(stdout),
      error: stderr === "" ? undefined : (JSON.parse(stderr) as { error: unknown }).error,
    };
  }

  /** Rows of a query through the command. */
  async rows(sql: string): Promise<unknown[][]> {
    const { code, value, error } = await this.json(["query", sql]);
    if (code !== 0) throw new Error(`query failed: ${JSON.stringify(error)}`);
    return (value as { rows: unknown[][] }).rows;
  }

  /** Starts `weir up` or `weir dev` on a free port and waits until it says that it is up. */
  async up(args: readonly string[] = ["up"], dataDir: string = this.dataDir): Promise<Instance> {
    const given = [...args, "--data-dir", dataDir, "--port", "0", "--json", "--log-format", "json"];
    const instance = new Instance(this.#spawn(given), dataDir);
    await instance.announced();
    this.#instances.push(instance);
    return instance;
  }

  /** Kills whatever still runs and removes the folder. */
  dispose(): void {
    for (const child of this.#started) child.kill("SIGKILL");
    for (const { pid } of this.#instances.flatMap((instance) => instance.identities())) {
      // The process may have ended and its id be another's by now.
      const line = spawnSync("ps", ["-o", "args=", "-p", String(pid)]).stdout.toString();
      if (line.includes("child.mjs")) process.kill(pid, "SIGKILL");
    }
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }

  #spawn(args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
    const child = spawn(process.execPath, [command, ...args], {
      cwd: this.folder,
      env: { ...process.env, NO_COLOR: "1", ...env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#started.push(child);
    return child;
  }
}

/** A running `weir up`. */
export class Instance {
  readonly #child: ChildProcess;
  readonly #dataDir: string;
  readonly #stdout: () => string;
  readonly #stderr: () => string;
  readonly exited: Promise<number | null>;

  constructor(child: ChildProcess, dataDir: string) {
    this.#child = child;
    this.#dataDir = dataDir;
    this.#stdout = collect(child.stdout);
    this.#stderr = collect(child.stderr);
    this.exited = new Promise((resolve) => child.once("close", resolve));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Undefined for an instance without collectors. */
  get url(): string | undefined {
    return (JSON.parse(this.#stdout().split("\n")[0] ?? "") as { url?: string }).url;
  }

  /** What the processes logged so far. */
  get logs(): { level: string; message: string; process: string; error?: { code: string } }[] {
    const lines = this.#stderr().split("\n").slice(0, -1);
    return lines.map((line) => JSON.parse(line) as Instance["logs"][number]);
  }

  async announced(): Promise<void> {
    await until(() => this.#stdout().includes("\n") || this.#child.exitCode !== null);
    if (this.#child.exitCode !== null) throw new Error(`it ended: ${this.#stderr()}`);
  }

  /** The instance file as it is now. */
  file(): InstanceFile {
    return JSON.parse(readFileSync(this.#path(), "utf8")) as InstanceFile;
  }

  #path(): string {
    return join(this.#dataDir, "run", this.url === undefined ? "engine.json" : "weir.json");
  }

  pidOf(name: string): number {
    const pid = this.file().processes.find((process) => process.name === name)?.pid;
    if (pid === undefined) throw new Error(`${name} does not run`);
    return pid;
  }

  /** None once the instance has stopped. */
  identities(): ProcessIdentity[] {
    if (!existsSync(this.#path())) return [];
    return this.file().processes.flatMap(({ pid, identity }) =>
      pid === undefined || identity === undefined ? [] : [{ pid, started: identity }],
    );
  }

  /** Waits until the process of that name is ready again with another pid. */
  async restarted(name: string, before: number): Promise<void> {
    await until(() => {
      const now = this.file().processes.find((process) => process.name === name);
      return now?.state === "ready" && now.pid !== before;
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Sends the signal and waits for the end. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    this.signal(signal);
    return await this.exited;
  }

  async post(records: readonly object[]): Promise<Response> {
    return await fetch(`${this.url}/v1/events`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(records),
    });
  }
}

export function click(id: string, page = "/"): object {
  return { type: "clicked", id, at: "2026-01-15T10:00:00Z", page };
}

/** Posts clicks one after the other until told to stop, each again until it is acknowledged or that. */
export class Poster {
  readonly acknowledged: string[] = [];
  /** What came of attempts that were not acknowledged: an HTTP status, or the code of a failed connection. */
  readonly failures: (number | string)[] = [];
  #running = true;
  readonly #done: Promise<void>;

  constructor(instance: Instance, prefix: string) {
    this.#done = this.#run(instance, prefix);
  }

  async stop(): Promise<string[]> {
    this.#running = false;
    await this.#done;
    return this.acknowledged;
  }

  async #run(instance: Instance, prefix: string): Promise<void> {
    for (let i = 0; this.#running; i++) {
      const id = `${prefix}${i}`;
      while (this.#running) {
        const status = await postOnce(instance.url ?? "", [click(id)]).catch(
          (error: unknown) => (error as NodeJS.ErrnoException).code ?? String(error),
        );
        if (status === 202) {
          this.acknowledged.push(id);
          // A pace, not a wait: flat out, the poster takes the processor that a restart needs.
          await new Promise((resolve) => setTimeout(resolve, 5));
          break;
        }
        this.failures.push(status ?? "no status");
        if (typeof status === "number" && status < 500) throw new Error(`HTTP ${status}`);
      }
    }
  }
}

/**
 * Posts on a connection of its own. On a kept one, a request can meet the server's closing of it half-way; every client
 * of HTTP/1.1 must then send again (RFC 9112, section 9.6), and it would not tell us whether the collector refused.
 */
async function postOnce(url: string, records: readonly object[]): Promise<number | undefined> {
  return await new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    const sent = request(`${url}/v1/events`, { method: "POST", agent: false, headers }, (response) => {
      response.resume();
      response.on("error", reject);
      response.on("end", () => resolve(response.statusCode));
    });
    sent.on("error", reject);
    sent.end(JSON.stringify(records));
  });
}

/** Every acknowledged id is in the table, once. */
export async function expectLoaded(sandbox: Sandbox, acknowledged: readonly string[]): Promise<void> {
  const rows = await sandbox.rows("SELECT id, count(*)::INT FROM clicked GROUP BY id");
  const counts = new Map(rows as [string, number][]);
  expect(acknowledged.filter((id) => counts.get(id) !== 1)).toEqual([]);
  expect(acknowledged.length).toBeGreaterThan(0);
}

/** Waits for a condition; fails with the text of the condition after the time. */
export async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 120_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      if (await condition()) return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** True when none of the processes lives. */
export async function allDead(identities: readonly ProcessIdentity[]): Promise<boolean> {
  const alive = await Promise.all(identities.map((identity) => isAlive(identity)));
  return !alive.includes(true);
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  let text = "";
  stream?.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  return () => text;
}
