import assert from "node:assert/strict";
import type { Capture } from "@weir/capture";
import { WeirError } from "@weir/contract";
import { CaptureRun, Crash, Journal, until, within } from "./journal.ts";
import type { Captured, CrashPoint } from "./journal.ts";

/** A source with a server of its own, made for one test. */
export interface Subject {
  /** The name that its records' contracts and its options have. */
  readonly source: string;
  /** A new capture of it, as a process that starts makes one. */
  capture(): Capture;
  /** Makes changes of every kind that there is at the source, a few tens of records. Resolves when they are made. */
  change(): Promise<void>;
  /** Makes so much that about this many records come of it. */
  fill(records: number): Promise<void>;
  /**
   * Throws while the records do not say all that the source holds and held: compares what follows from them with the
   * source itself. The records may hold duplicates (same id, same content), and those of runs that were killed.
   */
  verify(records: readonly Captured[]): void | Promise<void>;
  /** Makes the source send what cannot be read, between good things; absent where that cannot happen. */
  readonly spoil?: () => Promise<void>;
  /** Cuts the connections to the source, or makes it fail for a moment; absent where there is nothing to cut. */
  readonly disturb?: () => Promise<void>;
  close(): Promise<void>;
}

export interface CaptureContractOptions {
  /** Most records that may wait for the log, by the bounds of the source; default 100,000. */
  readonly mostWaiting?: number;
  /** Records of the test of backpressure; by default five times that. */
  readonly fill?: number;
  /** Whether subjects can spoil what they send, and disturb connections; default true. */
  readonly spoils?: boolean;
  readonly disturbs?: boolean;
  /** Crash points, by number of the call; default 1, 2, 3 and 5. */
  readonly crashCalls?: readonly number[];
}

export interface CaptureCase {
  readonly title: string;
  readonly run: () => Promise<void>;
}

/**
 * What every pull source must do, as cases to be registered with a test runner:
 * `for (const { title, run } of captureContract(start)) test(title, run)`.
 *
 * @param start makes a subject with some data, whose source was never captured
 */
export function captureContract(
  start: () => Promise<Subject>,
  options: CaptureContractOptions = {},
): CaptureCase[] {
  const { mostWaiting = 100_000, fill = 5 * mostWaiting, crashCalls = [1, 2, 3, 5] } = options;
  const { spoils = true, disturbs = true } = options;
  const on = (title: string, act: (subject: Subject, journal: Journal) => Promise<void>): CaptureCase => ({
    title,
    run: async () => {
      const subject = await start();
      try {
        await act(subject, new Journal(subject.source));
      } finally {
        await subject.close();
      }
    },
  });
  const crashes = (["append", "cursor"] as const).flatMap((at) =>
    crashCalls.flatMap((call) => [true, false].map((done) => ({ at, call, done }))),
  );
  return [
    on("the preflight finds no error, and changes nothing", preflightPasses),
    on("what is there and what comes is captured", capturesAll),
    on("stopped and started again: nothing lost, nothing twice", resumes),
    on("started again with nothing new: nothing is appended", staysQuiet),
    ...crashes.map((crash) =>
      on(
        `killed at ${crash.at} ${crash.call}, ${crash.done ? "after" : "before"} it was durable: nothing lost, no id with two contents`,
        (subject, journal) => survives(subject, journal, crash),
      ),
    ),
    on("a log that takes nothing: a bounded number waits, and all of it comes", (subject, journal) =>
      waits(subject, journal, mostWaiting, fill),
    ),
    on("stopped while the log takes nothing: it ends, and loses nothing", stopsWhileHeld),
    on("stopped at once: it ends", stopsAtOnce),
    ...(spoils ? [on("what cannot be read goes to quarantine and stops nothing", toleratesBadInput)] : []),
    ...(disturbs
      ? [on("a lost connection: an error that says so, and nothing lost", survivesDisturbance)]
      : []),
  ];
}

async function preflightPasses(subject: Subject, journal: Journal): Promise<void> {
  const findings = await subject.capture().check();
  assert.deepEqual(
    findings.filter(({ severity }) => severity === "error"),
    [],
  );
  const run = new CaptureRun(subject.capture(), journal);
  await until(() => subject.verify(journal.records), { run });
  await run.stop();
}

async function capturesAll(subject: Subject, journal: Journal): Promise<void> {
  await subject.change();
  const run = new CaptureRun(subject.capture(), journal);
  await subject.change();
  await until(() => subject.verify(journal.records), { run });
  for (let i = 0; i < 3; i++) await subject.change();
  await until(() => subject.verify(journal.records), { run });
  await run.stop();
  await subject.verify(journal.records);
  oneContentAnId(journal.records);
}

async function resumes(subject: Subject, journal: Journal): Promise<void> {
  let run = new CaptureRun(subject.capture(), journal);
  await until(() => subject.verify(journal.records), { run });
  await subject.change();
  await until(() => subject.verify(journal.records), { run });
  await run.stop();
  for (let i = 0; i < 2; i++) {
    await subject.change();
    run = new CaptureRun(subject.capture(), journal);
    await subject.change();
    await until(() => subject.verify(journal.records), { run });
    await run.stop();
  }
  const texts = journal.records.flatMap(({ text }) => (text === undefined ? [] : [text]));
  assert.equal(
    new Set(texts).size,
    texts.length,
    "a record came twice though every run was stopped in good order",
  );
  oneContentAnId(journal.records);
}

async function staysQuiet(subject: Subject, journal: Journal): Promise<void> {
  const first = new CaptureRun(subject.capture(), journal);
  await subject.change();
  await until(() => subject.verify(journal.records), { run: first });
  await first.stop();
  const before = journal.records.length;
  for (let i = 0; i < 3; i++) {
    journal.status = {};
    const run = new CaptureRun(subject.capture(), journal);
    await until(() => assert.ok(Object.keys(journal.status).length > 0, "it reports no status"), { run });
    await run.stop();
  }
  assert.deepEqual(journal.records.slice(before), []);
}

async function survives(subject: Subject, journal: Journal, crash: CrashPoint): Promise<void> {
  const killed = new CaptureRun(subject.capture(), journal, crash);
  const end = killed.ended.then(
    () => "ended",
    (error: unknown) => error,
  );
  // Sources that have little to say reach their later crash points only while something happens.
  for (let i = 0; i < 50 && !killed.crashed; i++) {
    await subject.change();
    await Promise.race([end, new Promise((resolve) => setTimeout(resolve, 50))]);
  }
  if (!killed.crashed) {
    await killed.stop();
  } else {
    const error = await within(end, 20_000, "a capture whose appends fail did not end");
    assert.ok(error instanceof Crash || error instanceof WeirError, `it ended with ${String(error)}`);
  }
  await subject.change();
  const run = new CaptureRun(subject.capture(), journal);
  await subject.change();
  await until(() => subject.verify(journal.records), { run });
  await run.stop();
  await subject.verify(journal.records);
  oneContentAnId(journal.records);
}

async function waits(subject: Subject, journal: Journal, mostWaiting: number, fill: number): Promise<void> {
  const run = new CaptureRun(subject.capture(), journal);
  await until(() => subject.verify(journal.records), { run });
  journal.hold();
  await subject.fill(fill);
  // When it has stopped reading, what waits stays what it is.
  let before = -1;
  await until(
    () => {
      const now = run.waiting.records;
      const settled = now > 0 && now === before;
      before = now;
      assert.ok(settled, "it still reads");
    },
    { run },
  );
  assert.ok(run.most.records <= mostWaiting, `${run.most.records} records waited`);
  assert.ok(run.most.records < fill, "it read everything though nothing was taken");
  journal.release();
  await until(() => subject.verify(journal.records), { run, timeoutMs: 120_000 });
  await run.stop();
}

async function stopsWhileHeld(subject: Subject, journal: Journal): Promise<void> {
  const first = new CaptureRun(subject.capture(), journal);
  await until(() => subject.verify(journal.records), { run: first });
  journal.hold();
  await subject.change();
  await until(() => assert.ok(first.waiting.records > 0), { run: first });
  // The log's own append gives up when the signal aborts, so the run may end with an error.
  await first.stop().catch(() => undefined);
  journal.release();
  const run = new CaptureRun(subject.capture(), journal);
  await until(() => subject.verify(journal.records), { run });
  await run.stop();
}

async function stopsAtOnce(subject: Subject, journal: Journal): Promise<void> {
  await new CaptureRun(subject.capture(), journal).stop();
  const run = new CaptureRun(subject.capture(), journal);
  await until(() => subject.verify(journal.records), { run });
  await run.stop();
}

async function toleratesBadInput(subject: Subject, journal: Journal): Promise<void> {
  const run = new CaptureRun(subject.capture(), journal);
  await subject.change();
  await must(subject.spoil)();
  await subject.change();
  await until(
    () =>
      assert.ok(
        journal.records.some(({ error }) => error !== undefined),
        "nothing went to quarantine",
      ),
    { run },
  );
  await until(() => subject.verify(journal.records), { run });
  await run.stop();
  await subject.verify(journal.records);
}

async function survivesDisturbance(subject: Subject, journal: Journal): Promise<void> {
  const disturbed = new CaptureRun(subject.capture(), journal);
  await until(() => subject.verify(journal.records), { run: disturbed });
  await must(subject.disturb)();
  await subject.change();
  // It may get over it by itself, or end and be started again; it must not go on as if nothing were.
  let end: { error?: unknown } | undefined;
  void disturbed.ended.then(
    () => (end = {}),
    (error: unknown) => (end = { error }),
  );
  await until(async () => {
    if (end === undefined) await subject.verify(journal.records);
  });
  if (end !== undefined) assert.ok(end.error instanceof WeirError, `it ended with ${String(end.error)}`);
  await disturbed.stop().catch(() => undefined);
  const run = new CaptureRun(subject.capture(), journal);
  await subject.change();
  await until(() => subject.verify(journal.records), { run });
  await run.stop();
  oneContentAnId(journal.records);
}

function must<T>(given: T | undefined): T {
  assert.ok(given !== undefined, "the subject does not do what the options say it does");
  return given;
}

/** Records of one id are one record: their texts are equal. */
export function oneContentAnId(records: readonly Captured[]): void {
  const texts = new Map<string, string>();
  for (const { contract, value, text } of records) {
    if (value === undefined || text === undefined || value["id"] === undefined) continue;
    const id = `${contract} ${JSON.stringify(value["id"])}`;
    const other = texts.get(id);
    assert.ok(other === undefined || other === text, `two contents of one id:\n${other}\n${text}`);
    texts.set(id, text);
  }
}
