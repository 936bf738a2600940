import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export interface ChildOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Modules to load before the script. */
  readonly preload?: readonly URL[];
}

export interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** What a child says: one JSON object a line on its standard output. */
export type Said = Readonly<Record<string, unknown>> & { readonly kind: string };

/**
 * A process of its own that runs a module, in TypeScript or bundled, and can be killed. A line that is no JSON object is kept with
 * its standard error, to be shown when something goes wrong.
 */
export class TestChild {
  readonly #process: ChildProcess;
  readonly #said: Said[] = [];
  readonly #watchers = new Set<() => void>();
  readonly exited: Promise<ChildEnd>;
  #end: ChildEnd | undefined;
  #noise = "";

  private constructor(child: ChildProcess) {
    this.#process = child;
    child.stderr?.on("data", (bytes: Buffer) => this.#note(bytes.toString()));
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on("line", (line) => this.#hear(line));
    }
    this.exited = new Promise((resolve) => {
      child.on("close", (code, signal) => {
        this.#end = { code, signal };
        this.#tell();
        resolve(this.#end);
      });
    });
  }

  static start(script: URL, { args = [], env = {}, preload = [] }: ChildOptions = {}): TestChild {
    const path = fileURLToPath(script);
    const imports = preload.flatMap((module) => ["--import", String(module)]);
    const argv = [
      ...(path.endsWith(".ts") ? ["--import", "tsx"] : ["--enable-source-maps"]),
      ...imports,
      path,
      ...args,
    ];
    const child = spawn(process.execPath, argv, {
      cwd: fileURLToPath(new URL(".", import.meta.url)),
      env: { ...process.env, WEIR_FAILPOINT: "", ...env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    // A child that is killed while it is written to: what it was told does not matter any more.
    child.stdin.on("error", () => undefined);
    return new TestChild(child);
  }

  get pid(): number {
    if (this.#process.pid === undefined) throw new Error("the child did not start");
    return this.#process.pid;
  }

  get said(): readonly Said[] {
    return this.#said;
  }

  /** Whatever it wrote that was no JSON. */
  get noise(): string {
    return this.#noise;
  }

  /** Says something to its standard input. */
  tell(line: string): void {
    this.#process.stdin?.write(`${line}\n`);
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<ChildEnd> {
    this.#process.kill(signal);
    return await this.exited;
  }

  /**
   * The first thing it says, or has said, that fits. Rejects if it ends or the time runs out before that.
   */
  async saying(kind: string, fits: (said: Said) => boolean = () => true, timeoutMs = 30_000): Promise<Said> {
    let next = 0;
    return await this.#watch(`to say ${kind}`, timeoutMs, () => {
      for (; next < this.#said.length; next++) {
        const said = this.#said[next];
        if (said?.kind === kind && fits(said)) return said;
      }
      if (this.#end !== undefined) throw this.#disappointed(`ended before it said ${kind}`);
      return undefined;
    });
  }

  /** Resolves when it has ended; rejects, and kills it, if that takes too long. */
  async ending(timeoutMs = 30_000): Promise<ChildEnd> {
    return await this.#watch("to end", timeoutMs, () => this.#end);
  }

  async #watch<T>(what: string, timeoutMs: number, look: () => T | undefined): Promise<T> {
    return await new Promise<T>((resolve, reject) => {
      const done = (act: () => void): void => {
        clearTimeout(timer);
        this.#watchers.delete(watcher);
        act();
      };
      const watcher = (): void => {
        try {
          const found = look();
          if (found !== undefined) done(() => resolve(found));
        } catch (error) {
          done(() => reject(error instanceof Error ? error : new Error(String(error))));
        }
      };
      const timer = setTimeout(() => {
        this.#process.kill("SIGKILL");
        done(() => reject(this.#disappointed(`took more than ${timeoutMs} ms ${what}`)));
      }, timeoutMs);
      this.#watchers.add(watcher);
      watcher();
    });
  }

  #hear(line: string): void {
    let said: unknown;
    try {
      said = JSON.parse(line);
    } catch {
      said = undefined;
    }
    if (typeof said === "object" && said !== null && "kind" in said) this.#said.push(said as Said);
    else this.#note(`${line}\n`);
    this.#tell();
  }

  #note(text: string): void {
    this.#noise = (this.#noise + text).slice(-20_000);
  }

  #tell(): void {
    for (const watcher of this.#watchers) watcher();
  }

  #disappointed(what: string): Error {
    const last = this.#said.slice(-3).map((said) => JSON.stringify(said).slice(0, 500));
    return new Error(
      `the child ${what}; it ended with ${JSON.stringify(this.#end ?? null)}\n${last.join("\n")}\n${this.#noise}`,
    );
  }
}
