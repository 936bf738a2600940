import { setTimeout as pause } from "node:timers/promises";
import type { RowTags } from "@weir/contract";
import type { CaptureContext } from "../capture.ts";
import { describeTables, listTables, readPublication } from "./catalog.ts";
import type { CatalogTable, Publication, PublishedTable } from "./catalog.ts";
import type { PostgresCursor, TableState } from "./cursor.ts";
import { TablePatterns } from "./patterns.ts";
import { extendPublication, publishes, shrinkPublication } from "./publication.ts";
import type { RelationMessage, Target } from "./relation.ts";
import { lostColumns, planRead, shapeOf, tableAction } from "./table-plan.ts";
import type { TableAction } from "./table-plan.ts";
import { unmatchedTags } from "./tags.ts";
import { ServerError } from "./wire.ts";
import type { Wire } from "./wire.ts";

export interface CapturedTablesOptions {
  readonly wire: Wire;
  readonly version: number;
  readonly patterns: readonly string[];
  readonly tags: RowTags;
  readonly publication: string;
  readonly cursor: PostgresCursor;
  readonly log: CaptureContext["log"];
  /** Streams whose tables are gone, and with them their rows: resolves when that is durable. */
  readonly gone: (streams: readonly string[]) => Promise<void>;
  /** A table lost columns, which no change of its rows tells of: resolves to what is left (see `columnsText`) when that is durable. */
  readonly reshaped: (table: CatalogTable, published: PublishedTable | undefined) => Promise<string>;
  /** Saves the cursor. */
  readonly save: () => Promise<void>;
}

/** A table that is not captured although the project wants it. */
export interface LeftOut {
  readonly stream: string;
  readonly why: string;
}

/**
 * What the server answers when a table is dropped or renamed while a statement is on its way to it (undefined table,
 * schema, object; internal error for an oid that is gone; duplicate object), and lock_timeout.
 */
const passing: ReadonlySet<string> = new Set(["42P01", "3F000", "42704", "XX000", "42710", "55P03"]);
const maxTries = 10;

/** Whether a statement failed as what it names is being changed, so that another look is in order. */
export const passes = (error: unknown): boolean => error instanceof ServerError && passing.has(error.code);

/**
 * The tables that are captured: compares what the project wants, what the database has, what is published and what was
 * captured so far, and keeps the publication and the cursor's tables up to it.
 */
export class CapturedTables {
  readonly #options: CapturedTablesOptions;
  readonly #patterns: TablePatterns;
  #catalog = new Map<string, CatalogTable>();
  #published = new Map<string, PublishedTable>();
  /** By oid of a table, or of a partition. */
  #streamOf = new Map<number, string>();
  /** Tables that were captured and are gone, or not wanted any more. */
  readonly #retired = new Set<number>();
  /** Streams that a saved cursor has. */
  #known: ReadonlySet<string>;
  #leftOut: readonly LeftOut[] = [];
  #told = new Set<string>();
  #toldTags = new Set<string>();
  #owned = false;
  #looking: Promise<void> | undefined;
  /** Called when `target` has other answers than before. */
  onTargets: () => void = () => {};

  constructor(options: CapturedTablesOptions) {
    this.#options = options;
    this.#patterns = new TablePatterns(options.patterns);
    this.#known = new Set(Object.keys(options.cursor.tables));
  }

  /** By stream. */
  get states(): Record<string, TableState> {
    return this.#options.cursor.tables;
  }

  get leftOut(): readonly LeftOut[] {
    return this.#leftOut;
  }

  /** Whether the publication is ours to change. */
  get ownsPublication(): boolean {
    return this.#owned;
  }

  table(stream: string): CatalogTable | undefined {
    return this.#catalog.get(stream);
  }

  published(stream: string): PublishedTable | undefined {
    return this.#published.get(stream);
  }

  /**
   * Where changes of a relation go: to the stream of what it is now. The stream names it as it was, and goes on to do so
   * after a partitioned table was renamed; partitions that are published on their own belong to their table.
   */
  target({ oid, schema, table }: RelationMessage): Target | undefined {
    const stream = this.#streamOf.get(oid) ?? `${schema}.${table}`;
    // Of others the cursor does not know yet, so nobody would know that there are rows of them.
    if (!this.#known.has(stream) || (this.#retired.has(oid) && !this.#streamOf.has(oid))) return undefined;
    const found = this.#catalog.get(stream);
    const primaryKey = found?.primaryKey ?? [];
    return oid === found?.oid ? { stream, primaryKey } : { stream, primaryKey, keyOrder: found?.key ?? [] };
  }

  /** Plans to read a table again, with a fence. */
  again(stream: string, why: string): void {
    const table = this.#catalog.get(stream);
    if (table !== undefined) this.#plan({ kind: "read", table, fence: true, why });
  }

  /**
   * Looks at the database; a look under way is shared.
   *
   * Tables may be dropped and renamed while it looks, and another transaction may hold a lock that it needs: then it looks again.
   */
  async look(first = false): Promise<void> {
    this.#looking ??= this.#persist(first).finally(() => {
      this.#looking = undefined;
    });
    return await this.#looking;
  }

  async #persist(first: boolean): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        await this.#look(first);
        return;
      } catch (error) {
        if (!passes(error) || tries >= maxTries) throw error;
        await pause(20 * tries);
      }
    }
  }

  async #look(first: boolean): Promise<void> {
    const { wire, version, publication: name } = this.#options;
    const { oids, unfit, names } = await listTables(wire, this.#patterns);
    const tables = await describeTables(wire, version, oids);
    const usable = tables.filter((table) => table.key.length > 0 && table.keyless.length === 0);
    let publication = await readPublication(wire, version, name);
    const missing = await extendPublication(wire, version, name, publication, usable);
    publication = await readPublication(wire, version, name);
    this.#owned = publication?.owned === true && !publication.allTables;
    await this.#shrink(publication, tables, usable);
    const captured = usable.filter((table) => publishes(version, publication, table));
    this.#remember(tables, publication);
    this.#leftOut = [
      ...unfit.map(({ stream, why }) => ({ stream, why: `it is ${why}` })),
      ...tables
        .filter((table) => !captured.includes(table))
        .map((table) => this.#whyNot(table, usable, missing)),
      ...captured.flatMap((table) => this.#unreadable(table)),
    ];
    this.#tell();
    this.#tellTags(captured);
    const wanted = new Set(names.map(({ schema, table }) => `${schema}.${table}`));
    const actions = this.#actions(captured, wanted);
    const gone = actions.flatMap((action) => (action.kind === "gone" ? [action.stream] : []));
    // Nothing comes under these names any more, from before the position at which their rows are gone.
    this.#know(gone);
    // Durable before it is forgotten that there was a table.
    if (gone.length > 0) await this.#options.gone(gone);
    for (const action of actions) if (action.kind === "note") await this.#tellColumns(action.table);
    for (const action of actions) {
      if (action.kind === "gone" || action.kind === "remove") this.#retire(action.stream);
      else if (action.kind === "suspend") this.#suspend(action.stream);
      else this.#plan(action, first);
      if (!first) this.#log(action);
    }
    if (actions.length > 0) await this.#options.save();
    this.#know([]);
  }

  /** Changes are captured for the streams of the cursor, without these. */
  #know(without: readonly string[]): void {
    const { tables } = this.#options.cursor;
    this.#known = new Set(Object.keys(tables).filter((stream) => !without.includes(stream)));
    this.onTargets();
  }

  #actions(captured: readonly CatalogTable[], existing: ReadonlySet<string>): TableAction[] {
    const { cursor, version } = this.#options;
    const actions: TableAction[] = [];
    const streams = new Set(captured.map(({ stream }) => stream));
    for (const stream of Object.keys(cursor.tables)) {
      if (streams.has(stream)) continue;
      const [schema = "", ...table] = stream.split(".");
      const wanted = this.#patterns.wants(schema, table.join("."));
      if (!wanted) actions.push({ kind: "remove", stream });
      else if (!existing.has(stream)) actions.push({ kind: "gone", stream });
      else if (cursor.tables[stream]?.suspended !== true) actions.push({ kind: "suspend", stream });
    }
    for (const table of captured) {
      const state = cursor.tables[table.stream];
      if (state === undefined) {
        if (this.#unreadable(table).length === 0) actions.push({ kind: "add", table });
        continue;
      }
      const action = tableAction(state, table, this.#published.get(table.stream), version >= 110000);
      if (action !== undefined) actions.push(action);
    }
    return actions;
  }

  #plan(action: Extract<TableAction, { table: CatalogTable }>, first = false): void {
    const { stream } = action.table;
    const { tables } = this.#options.cursor;
    tables[stream] = planRead(tables[stream], action, this.#published.get(stream), !first);
  }

  /** Once, as long as it is so. */
  #tellTags(captured: readonly CatalogTable[]): void {
    const unmatched = new Set(unmatchedTags(this.#options.tags, captured));
    for (const message of unmatched) {
      if (!this.#toldTags.has(message))
        this.#options.log("warn", message, { code: "postgres_tag_unmatched" });
    }
    this.#toldTags = unmatched;
  }

  /** Where columns were only dropped: what is left. */
  async #tellColumns(table: CatalogTable): Promise<void> {
    const state = this.#options.cursor.tables[table.stream];
    const published = this.#published.get(table.stream);
    if (state !== undefined && lostColumns(state, shapeOf(table, published))) {
      state.columns = await this.#options.reshaped(table, published);
    }
  }

  #suspend(stream: string): void {
    const { tables } = this.#options.cursor;
    const state = tables[stream];
    if (state !== undefined) tables[stream] = { ...state, read: null, suspended: true };
  }

  #retire(stream: string): void {
    const { tables } = this.#options.cursor;
    const state = tables[stream];
    if (state !== undefined)
      for (const oid of [state.oid, ...Object.keys(state.files)]) this.#retired.add(Number(oid));
    delete tables[stream];
  }

  #remember(tables: readonly CatalogTable[], publication: Publication | undefined): void {
    this.#catalog = new Map(tables.map((table) => [table.stream, table]));
    this.#published = new Map(
      (publication?.tables ?? []).map((table) => [`${table.schema}.${table.table}`, table]),
    );
    this.#streamOf = new Map(
      tables.flatMap(({ oid, files, stream }) =>
        [oid, ...Object.keys(files).map(Number)].map((one) => [one, stream] as const),
      ),
    );
  }

  /**
   * Takes tables out of our publication: those the project does not want any more, and, at once, those that lost what
   * identifies their rows, as publishing makes the UPDATE and DELETE of the database's own users fail.
   */
  async #shrink(
    publication: Publication | undefined,
    tables: readonly CatalogTable[],
    usable: readonly CatalogTable[],
  ): Promise<void> {
    const { wire, publication: name, cursor } = this.#options;
    if (!this.#owned || publication === undefined) return;
    const keyless = tables.filter((table) => !usable.includes(table)).map(({ oid }) => oid);
    const kept = new Set(tables.map(({ stream }) => stream));
    const unwanted = Object.entries(cursor.tables).flatMap(([stream, { oid, files }]) =>
      kept.has(stream) ? [] : [oid, ...Object.keys(files).map(Number)],
    );
    const oids = [...keyless, ...unwanted].filter((oid) => publication.members.has(oid));
    const needed = new Set(usable.flatMap(({ oid, files }) => [oid, ...Object.keys(files).map(Number)]));
    await shrinkPublication(
      wire,
      name,
      oids.filter((oid) => !needed.has(oid)),
    );
  }

  #whyNot(table: CatalogTable, usable: readonly CatalogTable[], sql: string | undefined): LeftOut {
    const { stream } = table;
    if (usable.includes(table)) {
      return {
        stream,
        why: `it is not published${sql === undefined ? "" : `; its owner has to run: ${sql}`}`,
      };
    }
    const parts = table.key.length > 0 ? ` (of its partitions: ${table.keyless.join(", ")})` : "";
    return {
      stream,
      why: `it has no primary key and no other replica identity${parts}, and publishing it would make its UPDATE and DELETE fail`,
    };
  }

  #unreadable(table: CatalogTable): LeftOut[] {
    const { stream } = table;
    if (!table.readable) return [{ stream, why: "the role may not SELECT from it" }];
    if (table.rowSecurity) return [{ stream, why: "row security hides rows of it from the role" }];
    return [];
  }

  #tell(): void {
    for (const { stream, why } of this.#leftOut) {
      if (!this.#told.has(`${stream} ${why}`)) {
        this.#options.log("warn", `${stream} is not captured: ${why}`, { stream });
      }
    }
    this.#told = new Set(this.#leftOut.map(({ stream, why }) => `${stream} ${why}`));
  }

  #log(action: TableAction): void {
    const { log } = this.#options;
    if (action.kind === "add") log("info", `${action.table.stream} is captured from now on`);
    if (action.kind === "read") log("info", `${action.table.stream} is read again: ${action.why}`);
    if (action.kind === "partitions") {
      log("info", `${action.table.stream} has ${action.partitions.length} more partitions, which are read`);
    }
    if (action.kind === "gone") log("warn", `${action.stream} was dropped or renamed: its rows are gone`);
    if (action.kind === "remove") log("info", `${action.stream} is not captured any more; its rows stay`);
  }
}
