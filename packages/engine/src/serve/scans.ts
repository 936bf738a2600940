import type { Snapshots } from "../snapshots.ts";
import type { KeyValue } from "./key-value.ts";
import { keyText, readKeys } from "./read-rows.ts";
import type { TableShape } from "./table-shape.ts";

/** Rows by the text of their key, as of a commit. */
export interface ScannedRows {
  readonly commit: number;
  readonly rows: ReadonlyMap<string, Buffer>;
  /** Whether all were read: the rest takes more bytes than a reply may. */
  readonly whole: boolean;
}

interface Waiting {
  readonly keys: readonly (readonly KeyValue[])[];
  readonly resolve: (rows: ScannedRows) => void;
  readonly reject: (error: unknown) => void;
}

const timeoutMs = 60_000;
/** Keys of one statement. */
const most = 2_000;

/**
 * Finds rows by key in a table itself. That reads the key columns of the whole table (3 to 50 ms a million rows), for one
 * key or a thousand: what is asked for while a statement runs shares the next one.
 */
export class Scans {
  readonly #snapshots: Snapshots;
  readonly #waiting = new Map<TableShape, Waiting[]>();

  constructor(snapshots: Snapshots) {
    this.#snapshots = snapshots;
  }

  find(shape: TableShape, keys: readonly (readonly KeyValue[])[]): Promise<ScannedRows> {
    return new Promise((resolve, reject) => {
      const queue = this.#waiting.get(shape);
      if (queue !== undefined) queue.push({ keys, resolve, reject });
      else {
        this.#waiting.set(shape, [{ keys, resolve, reject }]);
        void this.#work(shape);
      }
    });
  }

  async #work(shape: TableShape): Promise<void> {
    for (;;) {
      const queue = this.#waiting.get(shape) ?? [];
      if (queue.length === 0) break;
      const taken: Waiting[] = [];
      for (let keys = 0; queue.length > 0 && keys < most;) {
        const next = queue.shift();
        if (next === undefined) break;
        taken.push(next);
        keys += next.keys.length;
      }
      await this.#scan(shape, taken);
    }
    this.#waiting.delete(shape);
  }

  async #scan(shape: TableShape, taken: readonly Waiting[]): Promise<void> {
    const keys = new Map(taken.flatMap((one) => one.keys).map((values) => [keyText(values), values]));
    try {
      const found = await this.#snapshots.run({ timeoutMs, reads: shape.name }, async (sql, commit) => ({
        commit,
        ...(await readKeys(sql, shape, [...keys.values()])),
      }));
      const rows = new Map(found.rows.map(({ key, row }) => [key, row]));
      // Of several requests that together ask for too much, each is tried by itself.
      if (!found.whole && taken.length > 1) for (const one of taken) await this.#scan(shape, [one]);
      else for (const one of taken) one.resolve({ commit: found.commit, rows, whole: found.whole });
    } catch (error) {
      for (const one of taken) one.reject(error);
    }
  }
}
