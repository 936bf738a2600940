import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";

const intervalMs = 200;
/** Two writes within one tick of the file system's clock look alike; a file this young is read at every look. */
const youngMs = 2_000;

interface Seen {
  readonly stamp: string;
  readonly digest: string;
}

/**
 * Tells when the content of any of a few files changes, wherever they are and however they are written.
 *
 * By polling: it sees files replaced by rename (as editors save), files that come back, and files on mounts that send
 * no events, which fs.watch does not; a project has tens of files, and a stat of each five times a second is not
 * measurable. Not by fs.watchFile, which takes its first look at some later time and misses what changes until then.
 * Contents are compared, so that a file that was only touched is no change.
 */
export class FileWatch {
  readonly #seen = new Map<string, Seen>();
  readonly #dirty = new Set<string>();
  readonly #timer: NodeJS.Timeout;
  #wake: () => void = () => {};
  #closed = false;

  constructor() {
    this.#timer = setInterval(() => this.#look(), intervalMs);
  }

  get files(): string[] {
    return [...this.#seen.keys()];
  }

  /**
   * Follows exactly these files from now on; changes not yet taken by `next` stay.
   *
   * @param sinceMs when the files were read (as `Date.now()`): one written since has changed already
   */
  follow(files: readonly string[], sinceMs: number): void {
    const wanted = new Set(files);
    for (const file of this.files) if (!wanted.has(file)) this.#seen.delete(file);
    for (const file of wanted) {
      if (this.#seen.has(file)) continue;
      const { stamp, mtimeMs } = stampOf(file);
      this.#seen.set(file, { stamp, digest: digestOf(file) });
      if (mtimeMs >= sinceMs) this.#mark(file);
    }
  }

  /** Resolves with the files that changed since the last call, as soon as there is one; undefined once closed. */
  async next(): Promise<string[] | undefined> {
    while (this.#dirty.size === 0) {
      if (this.#closed) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const changed = [...this.#dirty];
    this.#dirty.clear();
    return changed;
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#wake();
  }

  #look(): void {
    for (const [file, before] of this.#seen) {
      const { stamp, mtimeMs } = stampOf(file);
      if (stamp === before.stamp && Date.now() - mtimeMs > youngMs) continue;
      const digest = digestOf(file);
      this.#seen.set(file, { stamp, digest });
      if (digest !== before.digest) this.#mark(file);
    }
  }

  #mark(file: string): void {
    this.#dirty.add(file);
    this.#wake();
  }
}

function stampOf(file: string): { stamp: string; mtimeMs: number } {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) return { stamp: "absent", mtimeMs: -Infinity };
  return { stamp: `${stat.ino}/${stat.size}/${stat.mtimeMs}`, mtimeMs: stat.mtimeMs };
}

function digestOf(file: string): string {
  try {
    return createHash("sha256").update(readFileSync(file)).digest("base64");
  } catch {
    return "absent";
  }
}
