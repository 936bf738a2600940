import { dirname, join } from "node:path";
import { ident } from "@weir/compile";
import { WeirError } from "@weir/contract";
import { goneTable, sameKey } from "../changes/gone.ts";
import { Commits } from "../commits.ts";
import type { Sql } from "../database.ts";
import { turn } from "../each-row.ts";
import type { Snapshots } from "../snapshots.ts";
import { eachCopiedRow } from "./copied-rows.ts";
import { storedValue } from "./key-value.ts";
import type { KeyValue } from "./key-value.ts";
import { keyText } from "./read-rows.ts";
import type { Column } from "./row-json.ts";
import { RowStore } from "./row-store.ts";
import type { TableShape } from "./table-shape.ts";

/** A table's rows in a RowStore that follows its commits. */
export interface MirrorStatus {
  readonly table: string;
  /** `off`: it could not be kept, for `reason`; lookups read the table itself. */
  readonly state: "building" | "live" | "off";
  readonly reason: string | null;
  /** The commit that lookups see. */
  readonly commit: number;
  readonly rows: number;
  readonly memoryBytes: number;
  readonly fileBytes: number;
}

export interface MirrorOptions {
  /** Of its own. */
  readonly directory: string;
  readonly snapshots: Snapshots;
  readonly commits: Commits;
  /** Whether the mirrors together may take that much more memory, in bytes. */
  readonly hasRoom: () => boolean;
  /** Whether nobody has asked for it for long; then it ends. */
  readonly isIdle: () => boolean;
}

const readTimeoutMs = 3_600_000;

/**
 * Follows a table: at first all rows, then after each commit those that it changed. What lookups see is of one commit,
 * which lags the engine's by as long as reading the changes takes (20,000 rows: 0.1 s).
 */
export class Mirror {
  readonly #shape: TableShape;
  readonly #options: MirrorOptions;
  readonly #stop = new AbortController();
  #store: RowStore | undefined;
  /** The commit that lookups see. */
  readonly #seen = new Commits(0);
  #live = false;
  #reason: string | undefined;
  readonly #running: Promise<void>;

  /** @param shape of a declared table with `stamped` and `rowText` */
  constructor(shape: TableShape, options: MirrorOptions) {
    this.#shape = shape;
    this.#options = options;
    this.#running = this.#run();
  }

  /** The rows, once they are of `commit`. */
  get live(): { readonly store: RowStore; readonly commit: number } | undefined {
    return this.#live && this.#store !== undefined
      ? { store: this.#store, commit: this.#seen.current }
      : undefined;
  }

  /** Resolves when it is given up, idle, or closed. */
  get ended(): Promise<void> {
    return this.#running;
  }

  /** Why it was given up. */
  get reason(): string | undefined {
    return this.#reason;
  }

  get memoryBytes(): number {
    return this.#store?.memoryBytes ?? 0;
  }

  get status(): MirrorStatus {
    return {
      table: this.#shape.name,
      state: this.#reason !== undefined ? "off" : this.#live ? "live" : "building",
      reason: this.#reason ?? null,
      commit: this.#seen.current,
      rows: this.#store?.size ?? 0,
      memoryBytes: this.memoryBytes,
      fileBytes: this.#store?.fileBytes ?? 0,
    };
  }

  /** Resolves once lookups see that commit, or the mirror is not live, or `signal` aborts. */
  async reached(commit: number, signal?: AbortSignal): Promise<void> {
    if (this.#live) await this.#seen.after(commit - 1, signal);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { commits, directory } = this.#options;
    const { signal } = this.#stop;
    try {
      const grouped = this.#shape.order.length > 1;
      const store = new RowStore({ directory, grouped });
      this.#store = store;
      await this.#follow(store, true);
      while (!signal.aborted && !commits.closed && !this.#options.isIdle()) {
        const { current } = commits;
        if (commits.touches(this.#shape.name, this.#seen.current)) await this.#follow(store, false);
        else if (current > this.#seen.current) this.#seen.advance(current);
        else {
          this.#live = true;
          await commits.after(this.#seen.current, signal);
        }
      }
    } catch (error) {
      this.#reason = error instanceof Error ? error.message : String(error);
    }
    this.#live = false;
    this.#seen.close();
    this.#store?.close();
    this.#store = undefined;
  }

  /** Brings the store to the last commit. */
  async #follow(store: RowStore, isFirst: boolean): Promise<void> {
    const commit = await this.#options.snapshots.runOwn(
      { timeoutMs: readTimeoutMs, reads: "" },
      async (sql, now) => {
        await this.#put(store, sql, isFirst);
        if (!isFirst) await this.#remove(store, sql);
        return now;
      },
    );
    // In one turn: who looks sees the rows and the commit that they are of.
    store.publish();
    this.#seen.advance(commit);
    this.#checkRoom();
    await store.clean(turn);
  }

  /** Key, order columns where they are others, and the row; of all rows or of those that changed. */
  #rowsSql(all: boolean): string {
    const { key, order, rowText = "NULL" } = this.#shape;
    const columns = [jsonTexts(key), ...(order === key ? [] : [jsonTexts(order)]), rowText];
    return `SELECT ${columns.join(", ")} FROM (${this.#stamped}) _r ${all ? "" : `WHERE _commit > ${this.#seen.current}`}`;
  }

  /** Keys of rows that went and did not come again. */
  #goneSql(): string {
    const { name, key } = this.#shape;
    const columns = key.map((column) => column.name);
    return `SELECT ${jsonTexts(key)} FROM (
        SELECT DISTINCT * EXCLUDE (_commit) FROM db.state.${ident(goneTable(name))} WHERE _commit > ${this.#seen.current}) _g
      WHERE NOT EXISTS (
        SELECT 1 FROM (${this.#stamped}) _s WHERE _s._commit > ${this.#seen.current} AND ${sameKey(columns, "_s", "_g")})`;
  }

  get #stamped(): string {
    return this.#shape.program?.stamped ?? "";
  }

  /** @param atOnce while nobody reads: what is put and not published takes 100 bytes of memory a row */
  async #put(store: RowStore, sql: Sql, atOnce: boolean): Promise<void> {
    const { key, order } = this.#shape;
    const isSorted = order !== key;
    const put = (texts: readonly Buffer[]): void => {
      const values = valuesOf(key, texts[0]);
      const sorted = isSorted ? valuesOf(order, texts[1]) : values;
      store.put({
        key: keyText(values),
        group: keyText(sorted.slice(0, 1)),
        order: isSorted ? keyText(sorted) : "",
        row: texts[isSorted ? 2 : 1] as Buffer,
      });
    };
    await eachCopiedRow(sql, this.#rowsSql(atOnce), this.#changesPath, put, () => {
      this.#stop.signal.throwIfAborted();
      if (!atOnce) return;
      store.publish();
      this.#checkRoom();
    });
  }

  #checkRoom(): void {
    if (this.#options.hasRoom()) return;
    throw new WeirError(
      "lookup_memory_full",
      `With ${this.#shape.name}, the index of looked up tables takes more memory than it may.`,
      { where: this.#shape.name },
    );
  }

  #remove(store: RowStore, sql: Sql): Promise<void> {
    return eachCopiedRow(sql, this.#goneSql(), this.#changesPath, ([key]) =>
      store.remove(keyText(valuesOf(this.#shape.key, key))),
    );
  }

  get #changesPath(): string {
    return join(dirname(this.#options.directory), "changes.tsv");
  }
}

/** The values of columns as a JSON array of texts. */
const jsonTexts = (columns: readonly Column[]): string =>
  `to_json([${columns.map(({ name }) => `${ident(name)}::VARCHAR`).join(", ")}]::VARCHAR[])::VARCHAR`;

const valuesOf = (columns: readonly Column[], stored: Buffer | undefined): KeyValue[] => {
  const values = JSON.parse((stored ?? "[]").toString("utf8")) as KeyValue[];
  return columns.map(({ type }, i) => storedValue(type, values[i] ?? null));
};
