import { connect } from "node:net";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { eventText, randomOf } from "./events.ts";

/**
 * A client that costs little: requests are prepared once, and only ids and times are written into them before each is
 * sent. What JSON.stringify and an HTTP library cost is not Weir's. Run as a process of its own:
 *
 *   node --import tsx bench/load.ts '{"port": 8787, "seconds": 60, "rate": 30000}'
 *
 * Prints its result as JSON. Bounded: it stops after `seconds`.
 */
export interface LoadOptions {
  readonly port: number;
  readonly seconds: number;
  /** Events per second; as fast as acknowledged when not given. */
  readonly rate?: number;
  readonly connections?: number;
  readonly batch?: number;
  readonly seed?: number;
}

export interface LoadResult {
  readonly acknowledged: number;
  readonly seconds: number;
  readonly refused: number;
}

interface Prepared {
  readonly bytes: Buffer;
  /** Offsets of the last 12 digits of the id and of the time, event by event. */
  readonly ids: readonly number[];
  readonly times: readonly number[];
}

function prepare(random: () => number, batch: number): Prepared {
  const texts = Array.from({ length: batch }, () => eventText(random, 0, 20_000));
  const body = Buffer.from(`${texts.join("\n")}\n`);
  const head = Buffer.from(
    `POST /v1/events HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/x-ndjson\r\ncontent-length: ${body.length}\r\n\r\n`,
  );
  const ids: number[] = [];
  const times: number[] = [];
  let at = head.length;
  for (const text of texts) {
    ids.push(at + text.indexOf('"event_id":"') + '"event_id":"'.length + 24);
    times.push(at + text.indexOf('"occurred_at":"') + '"occurred_at":"'.length);
    at += text.length + 1;
  }
  return { bytes: Buffer.concat([head, body]), ids, times };
}

let nextId = 0;

function stamp({ bytes, ids, times }: Prepared, run: number): void {
  const now = new Date().toISOString();
  for (const at of times) bytes.write(now, at, "latin1");
  for (const at of ids)
    bytes.write((run * 2 ** 36 + nextId++).toString(16).padStart(12, "0").slice(-12), at, "latin1");
}

/** Sends one request and resolves with the status of its answer. */
async function exchange(socket: Socket, bytes: Buffer): Promise<number> {
  socket.write(bytes);
  let text = "";
  for (;;) {
    const chunk = await new Promise<Buffer>((resolve, reject) => {
      socket.once("data", resolve);
      socket.once("error", reject);
      socket.once("close", () => reject(new Error("the server closed the connection")));
    });
    socket.removeAllListeners("error").removeAllListeners("close");
    text += chunk.toString("latin1");
    const head = text.indexOf("\r\n\r\n");
    if (head < 0) continue;
    const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
    if (text.length >= head + 4 + length) return Number(text.slice(9, 12));
  }
}

export async function load(options: LoadOptions): Promise<LoadResult> {
  const { port, seconds, rate, connections = 8, batch = 100, seed = 7 } = options;
  const random = randomOf(seed);
  const started = performance.now();
  const until = started + seconds * 1000;
  let acknowledged = 0;
  let refused = 0;
  let sent = 0;
  const one = async (): Promise<void> => {
    const socket = connect(port, "127.0.0.1");
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    const requests = Array.from({ length: 8 }, () => prepare(random, batch));
    for (let i = 0; performance.now() < until; i++) {
      const turn = sent;
      sent += batch;
      if (rate !== undefined) {
        const wait = started + (turn / rate) * 1000 - performance.now();
        if (wait > 0) await sleep(wait);
      }
      const request = requests[i % requests.length];
      if (request === undefined) break;
      stamp(request, seed);
      const status = await exchange(socket, request.bytes);
      if (status === 202) acknowledged += batch;
      else {
        refused += batch;
        await sleep(100);
      }
    }
    socket.destroy();
  };
  await Promise.all(Array.from({ length: connections }, one));
  return { acknowledged, refused, seconds: (performance.now() - started) / 1000 };
}

const argument = process.argv[2];
if (process.argv[1]?.endsWith("load.ts") === true && argument !== undefined) {
  console.log(JSON.stringify(await load(JSON.parse(argument) as LoadOptions)));
}
