import type { Change } from "@weir/contract";
import type { CaptureContext } from "../capture.ts";
import { changeRecord } from "../capture.ts";
import { appendAll } from "../web/append.ts";
import type { Clock } from "../web/clock.ts";
import { Refusal, type SalesforceClient } from "./client.ts";
import { compareIds } from "./compare.ts";
import type { ObjectCursor, Pass } from "./cursor.ts";
import type { SalesforceSource } from "./declare.ts";
import { readDeleted } from "./deleted.ts";
import { type Description, describe } from "./describe.ts";
import type { IdJournal } from "./id-journal.ts";
import { type ReadRow, deletion, rowChange, schemaChange, schemaHash } from "./row.ts";
import { SpanReader } from "./span-reader.ts";

/** What the objects of a source share. */
export interface Shared {
  readonly spec: SalesforceSource;
  readonly client: SalesforceClient;
  readonly clock: Clock;
  readonly context: CaptureContext;
  /** Makes the cursor of an object durable. */
  readonly save: (object: string, cursor: ObjectCursor) => Promise<void>;
}

export interface ObjectCounts {
  rows: number;
  deleted: number;
  purged: number;
  found: number;
  pages: number;
  jobs: number;
}

const describeMs = 3_600_000;
const deletedMs = 3_600_000;
/** How often the file of ids is written anew where ids are not compared, which does it. */
const compactMs = 86_400_000;

/** One object: its rows as they change, its deletions, its ids, its columns. */
export class ObjectCapture {
  readonly name: string;
  readonly counts: ObjectCounts = { rows: 0, deleted: 0, purged: 0, found: 0, pages: 0, jobs: 0 };
  /** Why it was not read at the last turn. */
  problem: string | undefined;
  readonly #shared: Shared;
  readonly #journal: IdJournal;
  #cursor: ObjectCursor;
  /** Appended records are covered by the cursor here, but not yet by the saved one. */
  #isAhead = false;
  #description: Description | undefined;
  #describedMs = 0;
  #deletedMs = 0;
  readonly #reader: SpanReader;

  constructor(shared: Shared, name: string, cursor: ObjectCursor | undefined, journal: IdJournal) {
    this.#shared = shared;
    this.name = name;
    this.#cursor = cursor ?? { lastPass: 0 };
    this.#journal = journal;
    this.#reader = new SpanReader(shared, name, this.counts);
  }

  get cursor(): ObjectCursor {
    return this.#cursor;
  }

  /**
   * Does what there is to do. Returns after how many milliseconds to come back.
   *
   * @throws what the client throws; Refusal and `salesforce_object_unavailable` are about this object alone
   */
  async turn(): Promise<number> {
    try {
      return await this.#turn(await this.#describe());
    } catch (error) {
      const isOld = this.#shared.clock.now() - this.#describedMs > 0;
      if (!(error instanceof Refusal) || error.reason !== "INVALID_FIELD" || !isOld) throw error;
      // A field was removed, or hidden from the user, since the fields were asked for.
      this.#description = undefined;
      return await this.#turn(await this.#describe());
    }
  }

  async #turn(description: Description): Promise<number> {
    const { spec, context } = this.#shared;
    if (this.#cursor.pass === undefined) await this.#begin();
    const { pass } = this.#cursor;
    if (pass !== undefined) {
      if (!(await this.#readPass(description, pass))) return this.#reader.pollMs;
      await this.#end(pass);
    }
    await this.#readDeletions(description);
    if (!context.signal.aborted) await this.#compare(description);
    return spec.everyMs;
  }

  /** The object's fields, asked for once an hour. New ones make all rows be read again: their values are in no row so far. */
  async #describe(): Promise<Description> {
    const { client, clock, context } = this.#shared;
    const isFresh = clock.now() - this.#describedMs < describeMs;
    if (this.#description !== undefined && isFresh) return this.#description;
    const description = await describe(client, this.name, context.signal);
    this.#description = description;
    this.#describedMs = clock.now();
    const { fields: known, schema } = this.#cursor;
    if (schema === schemaHash(description)) return description;
    const names = description.fields.map(({ name }) => name);
    const added = known === undefined ? [] : names.filter((name) => !known.includes(name));
    if (added.length > 0) {
      const message = `${this.name} has new fields (${added.join(", ").slice(0, 200)}): all its rows are read again`;
      context.log("info", message, { object: this.name });
    }
    const pass = this.#nextPass();
    await this.#append([schemaChange(description, pass, new Date(pass * 1000).toISOString())]);
    await this.#save({
      schema: schemaHash(description),
      fields: names,
      lastPass: pass,
      ...(added.length > 0 ? { through: undefined, pass: undefined } : {}),
    });
    return description;
  }

  /** Seconds; greater than that of any pass before. */
  #nextPass(): number {
    return Math.max(this.#cursor.lastPass + 1, Math.floor(this.#shared.client.serverNow() / 1000));
  }

  /** Begins a pass, if there is anything that has settled since the last. In the cursor first: its number decides between readings. */
  async #begin(): Promise<void> {
    const { client, spec } = this.#shared;
    const settledMs = Math.floor((client.serverNow() - spec.settleMs) / 1000) * 1000;
    const upTo = new Date(settledMs).toISOString();
    const { through, deletedThrough } = this.#cursor;
    if (through !== undefined && upTo <= through) return;
    const number = this.#nextPass();
    this.#reader.begin();
    await this.#save({
      pass: { number, upTo },
      lastPass: number,
      // From before the first row is read, as a row may be purged between.
      deletedThrough: deletedThrough ?? upTo,
    });
  }

  /** Tells whether the pass is done. */
  async #readPass(description: Description, pass: Pass): Promise<boolean> {
    const { number, upTo } = pass;
    const span = { through: this.#cursor.through, upTo };
    return await this.#reader.read(description, span, pass, {
      take: (rows) => this.#take(rows, pass),
      advance: (place) => this.#advance({ pass: { number, upTo, ...place } }),
      save: (place) => this.#save({ pass: { number, upTo, ...place } }),
    });
  }

  /** Appends rows as changes. */
  async #take(rows: readonly ReadRow[], pass: Pass): Promise<void> {
    const { through } = this.#cursor;
    const changes = rows.map((row) => {
      const isNew = row.created !== undefined && through !== undefined && row.created > through;
      const op = through === undefined ? "snapshot" : isNew ? "insert" : "update";
      return rowChange(this.name, row, { pass: pass.number, op });
    });
    const idsOf = (deleted: boolean): string[] =>
      rows.filter(({ isDeleted }) => isDeleted === deleted).map(({ id }) => id);
    // Before the append, as a row that is captured and not in the journal could be purged unnoticed. The other way about, a
    // row in the journal that a crash kept from the log is read again, or told as deleted for nothing.
    this.#journal.add(idsOf(false), "+");
    await this.#append(changes);
    this.#journal.add(idsOf(true), "-");
    const deleted = rows.filter(({ isDeleted }) => isDeleted).length;
    this.counts.rows += rows.length - deleted;
    this.counts.deleted += deleted;
  }

  async #end(pass: Pass): Promise<void> {
    const { through, comparedAt } = this.#cursor;
    // After all rows have been read there is nothing to compare for a while.
    const isWhole = through === undefined && comparedAt === undefined;
    this.#journal.add([], "+");
    const now = new Date(this.#shared.client.serverNow()).toISOString();
    await this.#save({ through: pass.upTo, pass: undefined, ...(isWhole ? { comparedAt: now } : {}) });
  }

  /** Asks which rows were deleted, once an hour: those purged from the recycle bin are in no query. */
  async #readDeletions(description: Description): Promise<void> {
    const { clock, context } = this.#shared;
    const { deletedThrough, through } = this.#cursor;
    if (!description.isReplicateable || deletedThrough === undefined || through === undefined) return;
    if (clock.now() - this.#deletedMs < deletedMs) return;
    this.#deletedMs = clock.now();
    const found = await readDeleted(this.#shared, this.name, deletedThrough, through);
    // Most are in the recycle bin, and were read there.
    const alive = await this.#journal.known(found.told.map(({ id }) => id));
    const purged = found.told.filter(({ id }) => alive.has(id));
    await this.#append(purged.map(({ id, at }) => deletion(this.name, id, { stamp: at, at })));
    this.#journal.add([...alive], "-");
    this.counts.purged += purged.length;
    if (found.hasGap) {
      const message = `${this.name}: deletions after ${deletedThrough} may be missing in Salesforce's list; comparing ids finds them`;
      context.log("warn", message, { object: this.name });
    }
    await this.#save({
      deletedThrough: found.through,
      // What was deleted before is known to a comparison only.
      ...(found.hasGap ? { comparedAt: undefined } : {}),
    });
  }

  /** Compares ids, when that is due. */
  async #compare(description: Description): Promise<void> {
    const { client, spec } = this.#shared;
    const { through, lastPass, comparedAt } = this.#cursor;
    if (through === undefined) return;
    const nowMs = client.serverNow();
    if (comparedAt !== undefined && nowMs - Date.parse(comparedAt) < (spec.compareMs ?? compactMs)) return;
    if (spec.compareMs === undefined) {
      await this.#journal.compact();
      await this.#save({ comparedAt: new Date(nowMs).toISOString() });
      return;
    }
    const at = { through, pass: lastPass };
    const { missing, found, isUnclear } = await compareIds(this.#shared, description, this.#journal, at);
    this.counts.purged += missing;
    this.counts.found += found;
    const again = isUnclear ? { through: undefined } : {};
    await this.#save({ comparedAt: new Date(nowMs).toISOString(), ...again });
  }

  async #append(changes: readonly Change[]): Promise<void> {
    const { context } = this.#shared;
    await appendAll(
      context,
      changes.map((change) => changeRecord(context.source, change)),
    );
  }

  /** Makes the cursor durable as far as it has come; for when the run ends. */
  async settle(): Promise<void> {
    if (this.#isAhead) await this.#save({});
  }

  #advance(change: Partial<ObjectCursor>): void {
    this.#cursor = { ...this.#cursor, ...change };
    this.#isAhead = true;
  }

  async #save(change: Partial<ObjectCursor>): Promise<void> {
    this.#advance(change);
    this.#isAhead = false;
    await this.#shared.save(this.name, this.#cursor);
  }
}
