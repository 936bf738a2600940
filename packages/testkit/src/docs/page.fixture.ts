import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

export const root = resolve(import.meta.dirname, "../../../..");
const weirPackage = join(root, "packages", "weir");

/** A fenced block of a page: the words after the fence, and its text. */
export interface Block {
  readonly words: readonly string[];
  readonly text: string;
  /** Line of the page that the fence is on, from 1. */
  readonly line: number;
}

export function blocksOf(markdown: string): Block[] {
  return [...markdown.matchAll(/^```([^\n`]*)\n(.*?)^```$/gms)].map(
    ({ index, 1: info = "", 2: text = "" }) => ({
      words: info.split(" ").filter(Boolean),
      text,
      line: markdown.slice(0, index).split("\n").length,
    }),
  );
}

/** What a page said and what happened, where they differ. */
export interface Difference {
  readonly line: number;
  readonly said: string;
  readonly happened: string;
}

/**
 * Does what a page says, in an empty folder:
 *
 *     ```ts weir.config.ts     the file of that name (any language; a name has a dot)
 *     ```sh start              starts the instance that the block's one command describes, on a free port
 *     ```sh stop               stops it as Ctrl-C does; the block itself is not run
 *     ```sh                    runs the commands; `npx weir` is this workspace's, `curl` a stand-in on Node
 *     ```text                  right after commands: exactly what they print, but for the numbers of commits and files, as
 *                              slow machines put fewer records into a commit
 *     ```text times            the same, but for points in time and the width of columns
 *
 * Every other block is only looked at.
 */
export async function runPage(path: string): Promise<Difference[]> {
  const reader = new Reader();
  try {
    return await reader.read(blocksOf(readFileSync(join(root, path), "utf8")));
  } finally {
    await reader.close();
  }
}

class Reader {
  readonly #folder = mkdtempSync(join(tmpdir(), "weir-page-"));
  #instance: ChildProcess | undefined;
  #url = "";

  constructor() {
    writeFileSync(join(this.#folder, "package.json"), '{"type": "module"}');
    mkdirSync(join(this.#folder, "node_modules"));
    symlinkSync(weirPackage, join(this.#folder, "node_modules", "weir"));
  }

  async read(blocks: readonly Block[]): Promise<Difference[]> {
    const differences: Difference[] = [];
    let printed: string | undefined;
    for (const { words, text, line } of blocks) {
      const [language = "", word] = words;
      if (language === "text" && printed !== undefined) {
        const comparable = word === "times" ? withoutTimes : withoutNumbering;
        if (comparable(printed) !== comparable(text))
          differences.push({ line, said: text, happened: printed });
        printed = undefined;
        continue;
      }
      printed = undefined;
      if (word?.includes(".") === true) writeFileSync(join(this.#folder, word), text);
      else if (language === "sh" && word === "start") await this.#start(text);
      else if (language === "sh" && word === "stop") await this.#stop();
      else if (language === "sh" && word === undefined) printed = await this.#run(text, line);
    }
    return differences;
  }

  async close(): Promise<void> {
    await this.#stop();
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  async #start(text: string): Promise<void> {
    const [, ...args] = text
      .trim()
      .replace(/\s*#.*$/, "")
      .split(/\s+/);
    if (args[0] !== "weir") throw new TypeError(`a start block must run npx weir: ${text}`);
    const options = ["--port", "0", "--json", "--log-format", "json"];
    this.#instance = spawn(
      process.execPath,
      [join(weirPackage, "bin", "weir.mjs"), ...args.slice(1), ...options],
      {
        cwd: this.#folder,
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    const lines = createInterface({ input: this.#instance.stdout as NonNullable<ChildProcess["stdout"]> });
    const [first] = (await once(lines, "line")) as [string];
    this.#url = (JSON.parse(first) as { url: string }).url;
  }

  async #stop(): Promise<void> {
    const instance = this.#instance;
    this.#instance = undefined;
    if (instance === undefined || instance.exitCode !== null) return;
    instance.kill("SIGTERM");
    await once(instance, "exit");
  }

  /** @returns what the commands print; where one fails, with its exit code. A command may fail: the page shows what then. */
  async #run(text: string, line: number): Promise<string> {
    const script = [
      `npx() { shift; ${quote(process.execPath)} ${quote(join(weirPackage, "bin", "weir.mjs"))} "$@"; }`,
      `curl() { ${quote(process.execPath)} ${quote(join(import.meta.dirname, "curl.fixture.mjs"))} "$@"; }`,
      text.replaceAll("http://127.0.0.1:8787", this.#url),
    ].join("\n");
    const child = spawn("bash", ["-c", script], { cwd: this.#folder, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (chunk: string) => (output += chunk));
    const [code] = (await once(child, "close")) as [number | null];
    if (code === 127 || code === null) throw new TypeError(`line ${line}: ${output}`);
    return output;
  }
}

const withoutNumbering = (text: string): string =>
  text
    .trim()
    .replaceAll(/commit \d+/g, "commit N")
    .replaceAll(/\d+ (commits|files)/g, "N $1");

const withoutTimes = (text: string): string =>
  withoutNumbering(text)
    .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?/g, "TIME")
    .replaceAll(/date=\d{4}-\d\d-\d\d/g, "date=DATE")
    .replaceAll(/ +/g, " ");

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
