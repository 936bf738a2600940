/**
 * A process that writes a stream until it is killed or has done what it was told; the crash tests run it. On
 * standard output it says what it may be held to: `open`, `ack TEXT...` once records are acknowledged, and
 * `gone TEXT...` before it removes a segment.
 */
import { readFileSync, writeSync } from "node:fs";
import { directoryStore } from "./directory.ts";
import { errnoOf } from "./file-system.ts";
import type { Defect } from "./power-loss.fixture.ts";
import { recordingFileSystem } from "./power-loss.fixture.ts";
import { batch, parseRecords } from "./records.fixture.ts";

export interface ChildTask {
  readonly root: string;
  /** Names the records of this run. */
  readonly run: string;
  /** Where to note what became durable. */
  readonly record: string;
  readonly defect?: Defect;
  /** Appends of each of the four appenders. */
  readonly appends: number;
}

const task = JSON.parse(process.argv[2] ?? "") as ChildTask;
const options = { minFreeBytes: 0, segmentBytes: 1500, sealAfterMs: 3 };
const store = directoryStore(task.root, options, { files: recordingFileSystem(task.record, task.defect) });
const writer = await store.openWriter("web", "c0");

function say(what: string, texts: readonly string[] = []): void {
  const line = Buffer.from(`${[what, ...texts].join(" ")}\n`);
  for (let at = 0; at < line.length;) {
    try {
      at += writeSync(1, line, at);
    } catch (error) {
      // The pipe is full: whoever reads it is busy.
      if (errnoOf(error) !== "EAGAIN") throw error;
    }
  }
}

async function appender(name: number): Promise<void> {
  for (let i = 0; i < task.appends; i++) {
    const count = 1 + ((i + name) % 4);
    const texts = Array.from({ length: count }, (_, part) => `${task.run}.${name}.${i}.${part}.${count}`);
    const { lines, lengths } = batch(texts);
    await writer.append(lines, lengths);
    say("ack", texts);
  }
}

const state = { writing: true };

/** Keeps the newest two segments. */
async function retention(): Promise<void> {
  let number = 0;
  while (state.writing) {
    const refs = await store.sealedAfter("web", "c0", number, 3);
    if (refs.length < 3) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      continue;
    }
    const [oldest] = refs as [(typeof refs)[0] & object];
    const content = readFileSync(await store.materialize(oldest), "utf8");
    say(
      "gone",
      parseRecords(content, oldest.number).map((record) => record.text),
    );
    await store.remove(oldest);
    number = oldest.number;
  }
}

say("open");
const removing = retention();
await Promise.all([0, 1, 2, 3].map(appender));
state.writing = false;
await removing;
await writer.close();
