import { setTimeout as pause } from "node:timers/promises";
import type { Capture, CaptureContext, CapturedRecord, CaptureStatus, LineBuffer } from "@weir/capture";
import type { ErrorCode, Json, JsonObject } from "@weir/contract";

/** A record as the log has it. */
export interface Captured {
  readonly contract: string;
  /** Of a readable record. */
  readonly text: string | undefined;
  readonly value: JsonObject | undefined;
  /** Why it cannot be read, and the bytes, of one that cannot. */
  readonly error: string | undefined;
  readonly detail: string | undefined;
  readonly bytes: Uint8Array | undefined;
}

/** Where a run of a capture is to end as if its process had been killed. */
export interface CrashPoint {
  readonly at: "append" | "cursor";
  /** At the n-th call, from 1. */
  readonly call: number;
  /** Whether what the call was to make durable has become so. */
  readonly done: boolean;
}

/** Thrown into a capture at its crash point, and at everything that it tries afterwards. */
export class Crash extends Error {
  override readonly name = "Crash";
}

/** The log and the cursor of one source, in memory: what a capture's runs leave behind. */
export class Journal {
  readonly source: string;
  readonly records: Captured[] = [];
  cursor: Json | undefined;
  status: CaptureStatus = {};
  readonly messages: { level: string; message: string; fields: unknown }[] = [];
  #gate: Promise<void> | undefined;
  #open: () => void = () => {};

  constructor(source: string) {
    this.source = source;
  }

  /** Until `release`, nothing becomes durable. */
  hold(): void {
    this.#gate = new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  release(): void {
    this.#gate = undefined;
    this.#open();
  }

  get gate(): Promise<void> | undefined {
    return this.#gate;
  }

  /** Whether one of the messages for operators holds this text. */
  said(text: string): boolean {
    return this.messages.some(({ message }) => message.includes(text));
  }
}

export const capturedRecord = (record: CapturedRecord): Captured =>
  "text" in record
    ? {
        contract: record.contract,
        text: record.text,
        value: JSON.parse(record.text) as JsonObject,
        error: undefined,
        detail: undefined,
        bytes: undefined,
      }
    : { ...record, text: undefined, value: undefined, detail: record.detail };

/** What a capture handed over as lines of the log. */
function recordsOf({ lines: { bytes, lengths } }: LineBuffer): CapturedRecord[] {
  let at = 0;
  return Array.from(lengths, (length) => {
    const line = Buffer.from(bytes.subarray(at, (at += length))).toString();
    const [received, contract = "", keys, nulls, error, text = "", ...more] = line.slice(0, -1).split("\t");
    if (!line.endsWith("\n") || !/^\d{16}$/.test(received ?? "") || nulls !== "0" || more.length > 0)
      throw new Error(`not a line of the log: ${line}`);
    if (error === "") return { contract, keys: Number(keys), text };
    const [code, ...detail] = (error ?? "").split(": ");
    return {
      contract,
      error: code as ErrorCode,
      detail: detail.join(": "),
      bytes: Uint8Array.from(Buffer.from(text, "base64")),
    };
  });
}

/** A capture at work on a journal. */
export class CaptureRun {
  readonly #journal: Journal;
  readonly #abort = new AbortController();
  readonly #crash: CrashPoint | undefined;
  #calls = { append: 0, cursor: 0 };
  #crashed = false;
  /** Records whose appends have not resolved, and the most there ever were; and their characters. */
  waiting = { records: 0, characters: 0 };
  most = { records: 0, characters: 0 };
  readonly ended: Promise<void>;

  constructor(capture: Capture, journal: Journal, crash?: CrashPoint) {
    this.#journal = journal;
    this.#crash = crash;
    this.ended = capture.run(this.#context());
    this.ended.catch(() => undefined);
  }

  get crashed(): boolean {
    return this.#crashed;
  }

  /** Asks it to end and waits; rejects with what it fails with, or after a time. */
  async stop(withinMs = 20_000): Promise<void> {
    this.#abort.abort();
    await within(this.ended, withinMs, "the capture did not end after its signal");
  }

  #context(): CaptureContext {
    const journal = this.#journal;
    return {
      source: journal.source,
      signal: this.#abort.signal,
      cursor: structuredClone(journal.cursor),
      append: (records) => this.#append(records),
      appendLines: (lines) => this.#append(recordsOf(lines)),
      saveCursor: (cursor) => this.#save(cursor),
      report: (status) => {
        journal.status = status;
      },
      log: (level, message, fields) => void journal.messages.push({ level, message, fields }),
    };
  }

  async #append(records: readonly CapturedRecord[]): Promise<void> {
    const journal = this.#journal;
    const call = ++this.#calls.append;
    const captured = records.map(capturedRecord);
    const characters = captured.reduce((sum, { text }) => sum + (text?.length ?? 0), 0);
    this.waiting = {
      records: this.waiting.records + captured.length,
      characters: this.waiting.characters + characters,
    };
    this.most = {
      records: Math.max(this.most.records, this.waiting.records),
      characters: Math.max(this.most.characters, this.waiting.characters),
    };
    // Never durable within the call: a capture must not count on it.
    await new Promise((resolve) => setImmediate(resolve));
    // As the log has it: nothing waits where there is nothing to append.
    while (captured.length > 0 && journal.gate !== undefined)
      await Promise.race([journal.gate, aborted(this.#abort.signal)]);
    this.#pass("append", call, () => journal.records.push(...captured));
    this.waiting = {
      records: this.waiting.records - captured.length,
      characters: this.waiting.characters - characters,
    };
  }

  async #save(cursor: Json): Promise<void> {
    const call = ++this.#calls.cursor;
    const copy = structuredClone(cursor);
    await new Promise((resolve) => setImmediate(resolve));
    this.#pass("cursor", call, () => {
      this.#journal.cursor = copy;
    });
  }

  #pass(at: CrashPoint["at"], call: number, act: () => void): void {
    if (this.#crashed) throw new Crash("it is dead already");
    const dies = this.#crash?.at === at && this.#crash.call === call;
    if (!dies || this.#crash?.done) act();
    if (!dies) return;
    this.#crashed = true;
    throw new Crash(`at ${at} ${call}`);
  }
}

async function aborted(signal: AbortSignal): Promise<never> {
  return await new Promise((_, reject) => {
    const fail = (): void => reject(new Crash("stopped while the log took nothing"));
    if (signal.aborted) fail();
    signal.addEventListener("abort", fail, { once: true });
  });
}

/** The promise, or an error once the time is over. */
export async function within<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  const timer = new AbortController();
  try {
    return await Promise.race([
      promise,
      pause(ms, undefined, { signal: timer.signal }).then(() => {
        throw new Error(`${what} within ${ms} ms`);
      }),
    ]);
  } finally {
    timer.abort();
  }
}

/** Tries again until it does not throw; rejects with what it threw last, or with what ended the run. */
export async function until(
  act: () => void | Promise<void>,
  { run, timeoutMs = 120_000 }: { readonly run?: CaptureRun; readonly timeoutMs?: number } = {},
): Promise<void> {
  let failed: unknown;
  run?.ended.then(
    () => (failed = new Error("the capture ended by itself")),
    (error: unknown) => (failed = error),
  );
  for (const giveUpMs = performance.now() + timeoutMs; ;) {
    try {
      await act();
      return;
    } catch (error) {
      if (failed !== undefined) throw failed;
      if (performance.now() > giveUpMs) throw error;
      await pause(25);
    }
  }
}
