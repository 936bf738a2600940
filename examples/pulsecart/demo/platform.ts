import { fork, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { DemoFailure } from "./failure.ts";

/** The `weir` command as npm links it. */
const weirCommand = fileURLToPath(new URL("../bin/weir.mjs", import.meta.resolve("weir")));
const guard = fileURLToPath(new URL("guard.mjs", import.meta.url));

export interface PlatformOptions {
  readonly project: string;
  readonly dataDir: string;
  readonly port: number;
  /** What the project file finds in the environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** File descriptor of the log. */
  readonly log: number;
}

/**
 * `weir up` with its processes. It runs in a process group of its own, so that Ctrl-C reaches the demo alone, which then
 * stops everything in order; should the demo be killed, the guard between the two stops it.
 */
export class Platform {
  readonly url: string;
  readonly #options: PlatformOptions;
  readonly #guard: ChildProcess;
  readonly #supervisorPid: number;
  readonly #exited: Promise<number>;
  #stopping = false;
  /** Rejects when the platform ends by itself. */
  readonly unexpectedEnd: Promise<void>;

  private constructor(options: PlatformOptions, guard: ChildProcess, exited: Promise<number>, up: Up) {
    this.#options = options;
    this.#guard = guard;
    this.#exited = exited;
    this.unexpectedEnd = this.#watchEnd();
    this.url = up.url;
    this.#supervisorPid = up.pid;
  }

  /** Resolves once records are accepted and queries answered. @throws DemoFailure when it ends before */
  static async start(options: PlatformOptions): Promise<Platform> {
    const { project, dataDir, port, environment, log } = options;
    const args = [
      "up",
      "-p",
      project,
      "-d",
      dataDir,
      "--port",
      String(port),
      "--json",
      "--log-format",
      "human",
    ];
    const child = fork(guard, [weirCommand, ...args], {
      detached: true,
      env: { ...process.env, ...environment },
      execArgv: [],
      stdio: ["ignore", "pipe", log, "ipc"],
    });
    const exited = once(child, "exit").then(([code]) => (code as number | null) ?? 1);
    const lines = createInterface({ input: child.stdout as NonNullable<typeof child.stdout> });
    const first = await Promise.race([once(lines, "line").then(([line]) => line as string), exited]);
    if (typeof first === "number") {
      throw new DemoFailure(
        `weir up ended with exit code ${first} before it was up.`,
        "Its log, above, says why.",
      );
    }
    return new Platform(options, child, exited, JSON.parse(first) as Up);
  }

  /** Runs a `weir` command on the platform's data. */
  async command(name: string, ...args: string[]): Promise<{ code: number; output: string }> {
    const { project, dataDir, environment, log } = this.#options;
    const child = spawn(
      process.execPath,
      [weirCommand, name, "-p", project, "-d", dataDir, "--json", ...args],
      { detached: true, env: { ...process.env, ...environment }, stdio: ["ignore", "pipe", log] },
    );
    let output = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (output += text));
    const [code] = (await once(child, "close")) as [number | null];
    return { code: code ?? 1, output };
  }

  /** @returns the exit code of `weir up`: 0 if all that it acknowledged was loaded and everything closed */
  async stop(): Promise<number> {
    this.#stopping = true;
    this.#guard.kill("SIGTERM");
    return await this.#exited;
  }

  async #watchEnd(): Promise<void> {
    const code = await this.#exited;
    if (this.#stopping) return;
    throw new DemoFailure(`weir up ended with exit code ${code}.`, "Its log, above, says why.");
  }

  /** Ends everything at once. Children of the supervisor end when it is gone. */
  kill(): void {
    try {
      process.kill(this.#supervisorPid, "SIGKILL");
    } catch {
      // It has ended already.
    }
  }
}

/** What `weir up --json` prints once it is ready. */
interface Up {
  readonly url: string;
  readonly pid: number;
}
