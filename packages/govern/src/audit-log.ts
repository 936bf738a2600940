import { createReadStream, readdirSync, rmSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { WeirError } from "@weir/contract";
import { failpoint } from "@weir/log";
import { checkLine, firstPrevious, nextEntry } from "./audit-chain.ts";
import type { AuditAction, AuditEntry } from "./audit-chain.ts";
import { makePrivateDirectory, syncDirectory } from "./durable-file.ts";

export interface AuditSettings {
  /** A file is closed at this size, in bytes. */
  readonly fileBytes?: number;
  /** Files whose last entry is older are removed; default 400 days. Milliseconds. */
  readonly keepMs?: number;
  readonly clock?: () => number;
}

export interface AuditVerdict {
  readonly ok: boolean;
  readonly entries: number;
  /** The first and last entries that are kept; what is before the first was removed because of its age. */
  readonly first: number;
  readonly last: number;
  /** Of the last entry. Kept elsewhere, it shows later whether the end was cut off. */
  readonly hash: string;
  /** What is wrong, and where. */
  readonly problem: string | null;
}

const defaultFileBytes = 16 * 1024 * 1024;
const defaultKeepMs = 400 * 24 * 3_600_000;
/** The longest line that is written, and that reading the end of a file looks for. */
const longestLine = 64 * 1024;
/** Says up to which entry files are removed because of their age. */
const removal = "audit.remove";

interface Waiting {
  readonly done: AuditAction;
  readonly resolve: (entry: AuditEntry) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A log of who did what, in which each entry carries the hash of the one before, so that none can be changed, removed or put
 * in without all that follow being made anew. One process writes.
 *
 * Invariant: an append that resolved is durable, and the file's text up to `#size` is whole lines of one chain. A crash
 * leaves at most lines behind it that nobody was told of: whole ones stay, as what they say may have been done; a torn one
 * is cut off. An append that fails writes over what it left.
 *
 * Files that are too old go when the next file is begun, and an entry in that says so before they do. So the chain may begin later than with
 * entry 1 only as far as it says itself; a crash in between leaves files that the next removal takes.
 */
export class AuditLog {
  readonly #directory: string;
  readonly #fileBytes: number;
  readonly #keepMs: number;
  readonly #clock: () => number;
  #file: FileHandle | undefined;
  #size = 0;
  #number = 0;
  #previous = firstPrevious;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  /** Why nothing can be appended. */
  #broken: WeirError | undefined;

  private constructor(directory: string, { fileBytes, keepMs, clock }: AuditSettings) {
    this.#directory = directory;
    this.#fileBytes = fileBytes ?? defaultFileBytes;
    this.#keepMs = keepMs ?? defaultKeepMs;
    this.#clock = clock ?? Date.now;
  }

  /** Opens the log where it ended. A log that is damaged opens, and takes nothing: see `append`. */
  static async open(directory: string, settings: AuditSettings = {}): Promise<AuditLog> {
    makePrivateDirectory(directory);
    const log = new AuditLog(directory, settings);
    await log.#resume();
    return log;
  }

  /**
   * Resolves with the entry when it is durable. Calls share one fsync.
   *
   * @throws WeirError `audit_broken` where the end of the log is damaged, `audit_unwritable`: what is not recorded must not be done
   */
  append(done: AuditAction): Promise<AuditEntry> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    const appended = new Promise<AuditEntry>((resolve, reject) => {
      this.#waiting.push({ done: bounded(done), resolve, reject });
    });
    this.#writing ??= this.#write();
    return appended;
  }

  /** Entries after a number, oldest first. */
  async list(after: number, limit: number): Promise<AuditEntry[]> {
    const entries: AuditEntry[] = [];
    const firsts = this.#firsts();
    for (const [i, first] of firsts.entries()) {
      const next = firsts[i + 1];
      if (next !== undefined && next <= after + 1) continue;
      for await (const line of this.#lines(first)) {
        const entry = checkLine(line, undefined);
        if (typeof entry === "string") throw this.#damaged(first, entry);
        if (entry.number > after) entries.push(entry);
        if (entries.length === limit) return entries;
      }
    }
    return entries;
  }

  /** Goes through the whole chain. */
  async verify(): Promise<AuditVerdict> {
    let expected: { number: number; previous: string } | undefined;
    let entries = 0;
    let from = 0;
    let removed = 0;
    const verdict = (problem: string | null): AuditVerdict => ({
      ok: problem === null,
      entries,
      first: from,
      last: expected === undefined ? 0 : expected.number - 1,
      hash: expected?.previous ?? firstPrevious,
      problem,
    });
    for (const first of this.#firsts()) {
      if (expected !== undefined && expected.number !== first)
        return verdict(`entries ${expected.number} to ${first - 1} are missing`);
      expected ??= first === 1 ? { number: 1, previous: firstPrevious } : undefined;
      from ||= first;
      for await (const line of this.#lines(first)) {
        const entry = checkLine(line, expected);
        const at = expected?.number ?? first;
        if (typeof entry === "string") return verdict(`the entry at number ${at} ${entry}`);
        if (entry.number !== at) return verdict(`the entry at number ${at} has number ${entry.number}`);
        expected = { number: entry.number + 1, previous: entry.hash };
        if (entry.action === removal) removed = Number(entry.detail["through"]);
        entries++;
      }
    }
    const last = expected === undefined ? 0 : expected.number - 1;
    if (last < this.#number) return verdict(`entries ${last + 1} to ${this.#number} are missing`);
    return verdict(
      from > removed + 1
        ? `entries ${removed + 1} to ${from - 1} are missing, and no entry says that they were removed because of their age`
        : null,
    );
  }

  async close(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
    await this.#file?.close();
    this.#file = undefined;
  }

  async #write(): Promise<void> {
    // Once around the event loop, so that calls of one turn share an fsync.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      try {
        const entries = await this.#put(group.map(({ done }) => done));
        for (const [i, { resolve }] of group.entries()) resolve(entries[i] as AuditEntry);
      } catch (cause) {
        const message = `The audit log cannot be written: ${(cause as Error).message}.`;
        const error = new WeirError("audit_unwritable", message, { where: this.#directory, cause });
        for (const { reject } of group) reject(error);
      }
    }
    // In the turn that found nothing waiting: who appends after it starts again.
    this.#writing = undefined;
  }

  async #put(wanted: readonly AuditAction[]): Promise<AuditEntry[]> {
    const isFull = this.#file === undefined || this.#size >= this.#fileBytes;
    const old = isFull ? this.#tooOld() : { files: [], through: 0 };
    const actions = old.files.length === 0 ? wanted : [removalOf(old.through), ...wanted];
    const at = new Date(this.#clock()).toISOString();
    const entries: AuditEntry[] = [];
    let [number, previous, text] = [this.#number, this.#previous, ""];
    for (const done of actions) {
      const { entry, line } = nextEntry(done, number + 1, at, previous);
      entries.push(entry);
      text += `${line}\n`;
      [number, previous] = [entry.number, entry.hash];
    }
    if (isFull) await this.#rotate();
    const file = this.#file as FileHandle;
    const bytes = Buffer.from(text);
    // Behind what is known to be whole, over whatever an earlier attempt left there.
    await file.truncate(this.#size);
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await file.write(bytes, done, bytes.length - done, this.#size + done);
      done += bytesWritten;
    }
    failpoint("audit.append.written");
    await file.datasync();
    failpoint("audit.append.durable");
    this.#size += bytes.length;
    this.#number = number;
    this.#previous = previous;
    // What cannot be removed now is still too old the next time.
    for (const path of old.files) tryRemove(path);
    return entries.slice(actions.length - wanted.length);
  }

  /** Files whose time is over, and the last entry in them. */
  #tooOld(): { readonly files: readonly string[]; readonly through: number } {
    const firsts = this.#firsts();
    // The newest of them stays: without it nothing would show that the chain goes on.
    const kept = firsts.findIndex(
      (first, i) =>
        i === firsts.length - 1 || statSync(this.#path(first)).mtimeMs >= this.#clock() - this.#keepMs,
    );
    const files = firsts.slice(0, Math.max(kept, 0)).map((first) => this.#path(first));
    return { files, through: (firsts[files.length] ?? 1) - 1 };
  }

  /** Begins the next file. */
  async #rotate(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
    const path = this.#path(this.#number + 1);
    this.#file = await open(path, "w+", 0o600);
    this.#size = 0;
    syncDirectory(this.#directory);
    failpoint("audit.rotate.created");
  }

  /** Finds where the log ended, and cuts off a torn line. */
  async #resume(): Promise<void> {
    const firsts = this.#firsts();
    for (const first of firsts.toReversed()) {
      const file = await open(this.#path(first), "r+");
      const { size } = await file.stat();
      const length = Math.min(size, 2 * longestLine);
      const end = Buffer.alloc(length);
      await file.read(end, 0, length, size - length);
      const lastLf = end.lastIndexOf(0x0a);
      const whole = lastLf + 1 + size - length;
      if (lastLf < 0) {
        // Not one entry was finished. A longer file without an end of a line is none of ours.
        if (size > longestLine) this.#broken = this.#damaged(first, "is no entry");
        if (this.#broken !== undefined || firsts.length === 1) {
          this.#file = file;
          return;
        }
        await file.close();
        rmSync(this.#path(first));
        continue;
      }
      const before = end.lastIndexOf(0x0a, lastLf - 1);
      const entry = checkLine(end.toString("utf8", before + 1, lastLf), undefined);
      this.#file = file;
      if (typeof entry === "string") {
        this.#broken = this.#damaged(first, entry);
        return;
      }
      this.#size = whole;
      this.#number = entry.number;
      this.#previous = entry.hash;
      return;
    }
  }

  /** The numbers by which the files are named, ascending: those of their first entries. */
  #firsts(): number[] {
    return readdirSync(this.#directory)
      .flatMap((name) => (/^\d{12}\.jsonl$/.test(name) ? [Number(name.slice(0, 12))] : []))
      .sort((a, b) => a - b);
  }

  #path(first: number): string {
    return join(this.#directory, `${String(first).padStart(12, "0")}.jsonl`);
  }

  /** The whole lines of a file; not those that are being written. */
  async *#lines(first: number): AsyncGenerator<string> {
    const isLast = first === this.#firsts().at(-1);
    if (isLast && this.#size === 0 && this.#broken === undefined) return;
    const end = isLast && this.#broken === undefined ? { end: this.#size - 1 } : {};
    // Not with node:readline, to which CR and U+2028 end lines too: a CR in place of an LF is a changed byte, and a text may have
    // U+2028 in it.
    let left: Buffer = Buffer.alloc(0);
    for await (const piece of createReadStream(this.#path(first), end) as AsyncIterable<Buffer>) {
      const bytes = left.length === 0 ? piece : Buffer.concat([left, piece]);
      let at = 0;
      for (let lf = bytes.indexOf(10); lf >= 0; lf = bytes.indexOf(10, at)) {
        yield bytes.toString("utf8", at, lf);
        at = lf + 1;
      }
      left = bytes.subarray(at);
    }
    if (left.length > 0) yield left.toString("utf8");
  }

  #damaged(first: number, what: string): WeirError {
    return new WeirError("audit_broken", `An entry of the audit log ${what}.`, { where: this.#path(first) });
  }
}

const removalOf = (through: number): AuditAction => ({
  actor: "weir",
  role: "admin",
  action: removal,
  target: null,
  detail: { through },
});

function tryRemove(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // See the call.
  }
}

/** An action whose entry is no longer than a line may be: long texts are cut, and say so. */
function bounded(done: AuditAction): AuditAction {
  const cut = (text: string, most: number): string =>
    text.length <= most ? text : `${text.slice(0, most)}... (${text.length} characters)`;
  const detail = Object.fromEntries(
    Object.entries(done.detail).map(([name, value]) => [
      name,
      typeof value === "string" ? cut(value, 4_000) : value,
    ]),
  );
  return { ...done, target: done.target === null ? null : cut(done.target, 1_000), detail };
}
