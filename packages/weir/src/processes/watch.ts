import { createHash } from "node:crypto";
import { readFileSync, unwatchFile, watchFile } from "node:fs";

const intervalMs = 200;

/**
 * Tells when the content of any of a few files changes, wherever they are and however they are written.
 *
 * By polling: it sees files replaced by rename (as editors save), files that come back, and files on mounts that send
 * no events, which fs.watch does not; a project has tens of files, and a stat of each five times a second is not
 * measurable. Contents are compared, so that a file that was only touched is no change.
 */
export class FileWatch {
  #digests = new Map<string, string>();
  #dirty = new Set<string>();
  #wake: () => void = () => {};
  #closed = false;

  get files(): string[] {
    return [...this.#digests.keys()];
  }

  /** Follows exactly these files from now on, as they are now; changes not yet taken by `next` stay. */
  follow(files: readonly string[]): void {
    const wanted = new Set(files);
    for (const file of this.files) {
      if (!wanted.has(file)) {
        unwatchFile(file);
        this.#digests.delete(file);
      }
    }
    for (const file of wanted) {
      if (this.#digests.has(file)) continue;
      this.#digests.set(file, digestOf(file));
      watchFile(file, { interval: intervalMs }, () => this.#look(file));
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
    for (const file of this.files) unwatchFile(file);
    this.#digests.clear();
    this.#wake();
  }

  #look(file: string): void {
    const digest = digestOf(file);
    if (this.#digests.get(file) === digest) return;
    this.#digests.set(file, digest);
    this.#dirty.add(file);
    this.#wake();
  }
}

function digestOf(file: string): string {
  try {
    return createHash("sha256").update(readFileSync(file)).digest("base64");
  } catch {
    return "absent";
  }
}
