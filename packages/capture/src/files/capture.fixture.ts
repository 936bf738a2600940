/** A files capture at work on a directory of its own, with its log and cursor in memory. */
import { copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { type Contract, Type, contract, date, decimal, nullable, timestamp, validator } from "@weir/contract";
import { onTestFinished } from "vitest";
import { CaptureRun, Journal, until } from "@weir/testkit";
import { createFilesCapture } from "./capture.ts";
import { type FilesOptions, files } from "./declare.ts";

const optional = Type.Optional;

/** What the files of other programs hold. */
export const payment: Contract = contract("payment", {
  version: "1.0.0",
  owner: "finance",
  id: "id",
  time: "seen_at",
  fields: Type.Object({
    id: Type.String(),
    seen_at: timestamp(),
    amount: nullable(decimal({ precision: 12, scale: 2 })),
    huge: optional(decimal({ precision: 38, scale: 4 })),
    big: optional(Type.Unknown()),
    count: optional(Type.Integer()),
    ratio: optional(Type.Number()),
    small: optional(Type.Number()),
    flag: optional(nullable(Type.Boolean())),
    day: optional(date()),
    at: optional(timestamp()),
    local: optional(timestamp()),
    clock: optional(Type.String()),
    note: optional(nullable(Type.String())),
    lines: optional(
      Type.Array(Type.Object({ sku: Type.String(), price: decimal({ precision: 9, scale: 2 }) })),
    ),
  }),
});

export class Drop {
  readonly root: string;
  readonly journal = new Journal("drop");
  readonly options: Partial<FilesOptions>;

  constructor(options: Partial<FilesOptions> = {}) {
    this.root = mkdtempSync(join(tmpdir(), "weir-files-"));
    onTestFinished(() => rmSync(this.root, { recursive: true, force: true }));
    this.options = options;
  }

  /** Appears whole, as a file that is renamed into the directory. */
  put(path: string, content: string | Uint8Array): void {
    const target = join(this.root, path);
    mkdirSync(dirname(target), { recursive: true });
    const draft = join(dirname(target), `.${basename(target)}`);
    writeFileSync(draft, content);
    renameSync(draft, target);
  }

  copy(fixture: string, as = fixture): void {
    copyFileSync(new URL(`fixtures/${fixture}`, import.meta.url), join(this.root, as));
  }

  capture(options: Partial<FilesOptions> = {}): ReturnType<typeof createFilesCapture> {
    return createFilesCapture(
      files({ path: this.root, contract: payment, stable: 0, every: 20, ...this.options, ...options }),
    );
  }

  start(options: Partial<FilesOptions> = {}): CaptureRun {
    return new CaptureRun(this.capture(options), this.journal);
  }

  /** Captures until so many files are read and damaged, and there is nothing left to do. */
  async settle(
    expected: { read?: number; damaged?: number },
    options: Partial<FilesOptions> = {},
  ): Promise<void> {
    this.journal.status = {};
    const run = this.start(options);
    await until(
      () => {
        const { filesRead: read, filesDamaged: damaged, filesReady: ready } = this.journal.status;
        if (read === (expected.read ?? 0) && damaged === (expected.damaged ?? 0) && ready === 0) return;
        throw new Error(JSON.stringify(this.journal.status));
      },
      { run },
    );
    await run.stop();
  }

  /** Readable records, without what says where they are from unless that is asked for. */
  get values(): Record<string, unknown>[] {
    return this.journal.records.flatMap(({ value }) => {
      if (value === undefined) return [];
      const { source_file: _, source_row: __, ...own } = value;
      return [own];
    });
  }

  /** Unreadable ones: why, where, and their bytes. */
  get quarantined(): [code: string, detail: string, bytes: string][] {
    return this.journal.records.flatMap(({ error, detail = "", bytes }) =>
      error === undefined
        ? []
        : [[error, detail, Buffer.from(bytes!).toString("latin1")] as [string, string, string]],
    );
  }
}

export const validate = validator(payment);
