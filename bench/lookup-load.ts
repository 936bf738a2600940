import { readFileSync } from "node:fs";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { quantiles } from "./instance.ts";
import type { Quantiles } from "./instance.ts";

/**
 * Asks for rows at a fixed rate, whether or not earlier questions are answered (an open loop): what waits counts as long as it
 * waits, from the moment at which it should have been sent. Run as a process of its own; prints its result as JSON.
 */
export interface LookupLoadOptions {
  readonly port: number;
  readonly seconds: number;
  /** Of these, the first that do not count: this process and the one beside it compile their code then, which takes a processor each. */
  readonly warmSeconds: number;
  /** Requests per second. */
  readonly rate: number;
  readonly connections: number;
  /** Addresses to ask for, by kind; they are asked for in turn. */
  readonly paths: Readonly<Record<string, readonly string[]>>;
}

export interface LookupLoadResult {
  readonly requests: number;
  readonly failed: number;
  readonly perSecond: number;
  /** Of all. */
  readonly ms: Quantiles;
  /** Of each kind. */
  readonly kinds: Readonly<Record<string, Quantiles>>;
  /** Replies that named an earlier commit than a reply about the same table before them on the same connection. */
  readonly backwards: number;
}

interface Question {
  readonly kind: string;
  readonly path: string;
  /** When it should be sent. */
  readonly dueMs: number;
}

/** Sends one request and resolves with the status and the commit of its answer. */
async function exchange(socket: Socket, path: string): Promise<{ status: number; commit: number }> {
  socket.write(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`);
  let text = "";
  for (;;) {
    const chunk = await new Promise<Buffer>((resolve, reject) => {
      socket.once("data", resolve);
      socket.once("close", () => reject(new Error("the server closed the connection")));
    });
    socket.removeAllListeners("close");
    text += chunk.toString("latin1");
    const head = text.indexOf("\r\n\r\n");
    if (head < 0) continue;
    const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
    if (text.length < head + 4 + length) continue;
    return { status: Number(text.slice(9, 12)), commit: Number(/weir-as-of: (\d+)/i.exec(text)?.[1] ?? 0) };
  }
}

async function load({
  port,
  seconds,
  warmSeconds,
  rate,
  connections,
  paths,
}: LookupLoadOptions): Promise<LookupLoadResult> {
  const taken = new Map<string, [ms: number, n: number][]>();
  const kinds = Object.keys(paths);
  const total = Math.floor(seconds * rate);
  const queue: Question[] = [];
  const idle: (() => void)[] = [];
  const over = new AbortController();
  let failed = 0;
  let backwards = 0;
  const started = performance.now();
  const next = async (): Promise<Question | undefined> => {
    while (queue.length === 0 && !over.signal.aborted)
      await new Promise<void>((resolve) => idle.push(resolve));
    return queue.shift();
  };
  const one = async (): Promise<void> => {
    const socket = connect(port, "127.0.0.1").setNoDelay(true);
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    socket.on("error", () => undefined);
    const newest = new Map<string, number>();
    for (let question = await next(); question !== undefined; question = await next()) {
      const { status, commit } = await exchange(socket, question.path);
      if (status !== 200) failed++;
      const table = question.path.split("?", 1)[0] ?? "";
      if (commit < (newest.get(table) ?? 0)) backwards++;
      newest.set(table, commit);
      if (question.dueMs < started + warmSeconds * 1000) continue;
      const times = taken.get(question.kind) ?? [];
      times.push([performance.now() - question.dueMs, 1]);
      taken.set(question.kind, times);
    }
    socket.destroy();
  };
  const asking = Promise.all(Array.from({ length: connections }, one));
  for (let sent = 0; sent < total;) {
    const due = Math.min(total, Math.floor(((performance.now() - started) / 1000) * rate));
    for (; sent < due; sent++) {
      const kind = kinds[sent % kinds.length] ?? "";
      const of = paths[kind] ?? [];
      const path = of[Math.floor(sent / kinds.length) % of.length] ?? "/";
      queue.push({ kind, path, dueMs: started + (sent / rate) * 1000 });
      idle.shift()?.();
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  over.abort();
  for (const wake of idle.splice(0)) wake();
  await asking;
  const all = [...taken.values()].flat();
  return {
    requests: all.length,
    failed,
    perSecond: all.length / ((performance.now() - started) / 1000 - warmSeconds),
    ms: quantiles(all),
    kinds: Object.fromEntries([...taken].map(([kind, times]) => [kind, quantiles(times)])),
    backwards,
  };
}

const argument = process.argv[2];
if (process.argv[1]?.endsWith("lookup-load.ts") === true && argument !== undefined) {
  // In a file, as there are more addresses than fit into an argument.
  const [file = ""] = JSON.parse(argument) as string[];
  console.log(JSON.stringify(await load(JSON.parse(readFileSync(file, "utf8")) as LookupLoadOptions)));
}
