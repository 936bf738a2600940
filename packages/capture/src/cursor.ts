import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { WeirError } from "@weir/contract";
import type { Json } from "@weir/contract";
import { failpoint } from "@weir/log";

/**
 * Where a capture goes on after a restart: one small file, replaced as a whole. Lost or set back it costs reading
 * again, never records, as ids tell what came twice.
 */
export class CursorFile {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** @throws WeirError `capture_cursor_unreadable` */
  load(): Json | undefined {
    let text: string;
    try {
      text = readFileSync(this.#path, "utf8");
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw this.#unreadable(cause);
    }
    try {
      return JSON.parse(text) as Json;
    } catch (cause) {
      throw this.#unreadable(cause);
    }
  }

  /** Durable when it returns. */
  save(cursor: Json): void {
    mkdirSync(dirname(this.#path), { recursive: true });
    const draft = `${this.#path}.new`;
    const file = openSync(draft, "w");
    try {
      writeSync(file, JSON.stringify(cursor));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    failpoint("capture.cursor.before_rename");
    renameSync(draft, this.#path);
    const directory = openSync(dirname(this.#path), "r");
    try {
      fsyncSync(directory);
    } finally {
      closeSync(directory);
    }
    failpoint("capture.cursor.saved");
  }

  #unreadable(cause: unknown): WeirError {
    return new WeirError("capture_cursor_unreadable", "The file that says where to go on cannot be read.", {
      where: this.#path,
      cause,
    });
  }
}
