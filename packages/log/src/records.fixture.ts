/** Records for tests: making them, reading them back, and telling what a log must contain. */
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { LogStore, SegmentRef } from "./store.ts";

export interface Batch {
  readonly lines: Uint8Array;
  readonly lengths: Uint32Array;
}

export interface ReadRecord {
  readonly number: number;
  readonly line: number;
  readonly receivedUs: number;
  readonly text: string;
}

/** Records with the given texts in column 7. */
export function batch(texts: readonly string[], receivedUs = 1_763_712_000_000_000): Batch {
  const records = texts.map((text) => Buffer.from(`${receivedUs}\tview@1.0.0\t1\t0\t\t${text}\n`));
  return { lines: Buffer.concat(records), lengths: Uint32Array.from(records, (record) => record.length) };
}

/** Every sealed segment of the stream after a number. */
export async function allSealed(
  store: LogStore,
  source = "web",
  writer = "c0",
  after = 0,
): Promise<SegmentRef[]> {
  const refs: SegmentRef[] = [];
  for (;;) {
    const more = await store.sealedAfter(source, writer, refs.at(-1)?.number ?? after, 100);
    if (more.length === 0) return refs;
    refs.push(...more);
  }
}

/**
 * Every record of the stream's sealed segments. Throws if a segment is not as its reference says, or not made of
 * 7-column lines numbered 1, 2, 3...
 */
export async function readStream(
  store: LogStore,
  source = "web",
  writer = "c0",
  after = 0,
): Promise<ReadRecord[]> {
  const all: ReadRecord[] = [];
  for (const ref of await allSealed(store, source, writer, after)) {
    const records = parseRecords(await readFile(await store.materialize(ref), "utf8"), ref.number);
    const times = records.map((record) => record.receivedUs);
    if (records.length !== ref.records) throw new Error("the reference has another number of records");
    if (Math.min(...times) !== ref.firstReceivedUs || Math.max(...times) !== ref.lastReceivedUs) {
      throw new Error("the reference has other times");
    }
    all.push(...records);
  }
  return all;
}

export function parseRecords(content: string, number: number): ReadRecord[] {
  if (!content.endsWith("\n")) throw new Error("the last line is not complete");
  const records: ReadRecord[] = [];
  for (const line of content.slice(0, -1).split("\n")) {
    const columns = line.split("\t");
    if (columns.length !== 7) throw new Error(`a line has ${columns.length} columns`);
    const [first, receivedUs, , , , , text = ""] = columns;
    if (first === "0") continue;
    if (Number(first) !== records.length + 1)
      throw new Error(`line ${records.length + 1} is numbered ${first}`);
    records.push({ number, line: Number(first), receivedUs: Number(receivedUs), text });
  }
  return records;
}

export async function readTexts(store: LogStore, source = "web", writer = "c0"): Promise<string[]> {
  return (await readStream(store, source, writer)).map((record) => record.text);
}

/** Names in the stream's directory, without locks. */
export async function fileNames(root: string, stream = "web/c0"): Promise<string[]> {
  return (await readdir(join(root, stream))).filter((name) => !name.startsWith("lock-")).sort();
}

/** Resolves once the condition holds. The test's own timeout ends the waiting. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** The error's code; fails if the promise does not reject. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
  throw new Error("it did not reject");
}
