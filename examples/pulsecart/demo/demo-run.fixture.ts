import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

export const root = resolve(import.meta.dirname, "../../..");

/** The demo as `npm run demo` starts it, in a process of its own. */
export class DemoRun {
  readonly folder = mkdtempSync(join(tmpdir(), "pulsecart-"));
  readonly dataDir = join(this.folder, "data");
  readonly #child: ChildProcess;
  readonly #exited: Promise<number | null>;
  output = "";

  constructor(...args: string[]) {
    const all = ["scripts/run.mjs", "demo", "--data-dir", this.dataDir, ...args];
    this.#child = spawn(process.execPath, all, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => (this.output += text));
    }
    this.#exited = once(this.#child, "close").then(([code]) => code as number | null);
  }

  async exitCode(): Promise<number | null> {
    return await this.#exited;
  }

  /** Process ids: of the demo, of `weir up` and of its processes, once all of them run. */
  async processes(): Promise<{ demo: number; others: number[]; url: string }> {
    const file = join(this.dataDir, "run", "weir.json");
    return await until(() => {
      if (!existsSync(file)) return undefined;
      const { pid, url, processes } = JSON.parse(readFileSync(file, "utf8")) as Instance;
      if (!processes.every(({ state }) => state === "ready")) return undefined;
      const demo = Number(readFileSync(join(this.dataDir, "demo.pid"), "utf8"));
      return { demo, url, others: [pid, ...processes.map((process) => process.pid)] };
    });
  }

  /** Resolves once a line of the demo says that so many records at least are loaded. */
  async loaded(records: number): Promise<void> {
    await until(() => {
      const counts = [...this.output.matchAll(/= ([\d,]+) loaded/g)].map(([, count = ""]) =>
        Number(count.replaceAll(",", "")),
      );
      return counts.some((count) => count >= records) ? true : undefined;
    });
  }

  /** The demo's own children: the guard of the platform, the clients and the store. */
  children(): number[] {
    return childrenOf(Number(readFileSync(join(this.dataDir, "demo.pid"), "utf8")));
  }

  /** The store's process, its server's, and the folder that the server lies in. */
  store(): { process: number; server: number; folder: string } {
    const log = readFileSync(join(this.dataDir, "demo.log"), "utf8");
    const [, host = ""] = /store: PostgreSQL at \S+\?host=(\S+),/.exec(log) ?? [];
    const directory = decodeURIComponent(host);
    const server = Number(readFileSync(join(directory, "data", "postmaster.pid"), "utf8").split("\n")[0]);
    const isStore = (pid: number): boolean =>
      readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("store.ts");
    return { process: this.children().find(isStore) ?? 0, server, folder: dirname(directory) };
  }

  /** Ends the demo if it still runs, and removes its data. */
  async remove(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const marker = join(this.dataDir, "demo.pid");
      const demo = existsSync(marker) ? Number(readFileSync(marker, "utf8")) : 0;
      if (demo > 0 && isRunning(demo)) process.kill(demo, "SIGKILL");
      this.#child.kill("SIGKILL");
    }
    await this.#exited;
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

interface Instance {
  readonly pid: number;
  readonly url: string;
  readonly processes: readonly { readonly pid: number; readonly state: string }[];
}

/** Waits until the probe finds something; the test's own time limit is the bound. */
export async function until<T>(probe: () => T | undefined): Promise<T> {
  for (;;) {
    const found = probe();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A zombie takes signals; its state in stat(5) of proc is Z.
    const stat = existsSync("/proc/self/stat") ? readFileSync(`/proc/${pid}/stat`, "utf8") : "";
    return !/\) Z /.test(stat);
  } catch {
    return false;
  }
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
}
