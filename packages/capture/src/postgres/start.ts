import { setTimeout as pause } from "node:timers/promises";
import { WeirError } from "@weir/contract";
import type { CaptureContext, CapturedRecord } from "../capture.ts";
import { CapturedTables } from "./captured-tables.ts";
import type { CatalogTable, PublishedTable } from "./catalog.ts";
import { columnsText } from "./columns.ts";
import type { TypeNames } from "./columns.ts";
import { shownColumns } from "./table-read.ts";
import { Checkpoint } from "./checkpoint.ts";
import { placeOf } from "./connect.ts";
import { readCursor } from "./cursor.ts";
import type { PostgresCursor } from "./cursor.ts";
import { formatLsn, maxEpoch, parseLsn, versionLsn } from "./lsn.ts";
import { newPosition, position } from "./position.ts";
import type { ServerFacts } from "./server-facts.ts";
import { changeLine } from "./row-text.ts";
import { createSlot, dropSlot, gapOf, readSlot } from "./slot.ts";
import type { Gap, SlotState } from "./slot.ts";
import type { PostgresSource } from "./source.ts";
import type { Wire } from "./wire.ts";

export interface StartOptions {
  readonly spec: PostgresSource;
  readonly context: CaptureContext;
  readonly control: Wire;
  readonly facts: ServerFacts;
  readonly types: TypeNames;
  readonly slot: string;
  readonly publication: string;
  /** How long to wait for a slot that somebody reads from. */
  readonly slotFreeWithinMs: number;
}

/** Where capturing begins, and with what. */
export interface Begun {
  readonly cursor: PostgresCursor;
  readonly checkpoint: Checkpoint;
  readonly tables: CapturedTables;
}

/**
 * Finds out from where to go on, and sees to it that there is a slot that yields everything from there.
 *
 * The cursor is saved before a slot is made, so that one that a crash left behind is known as ours, and after, before
 * anything is read with it.
 *
 * @throws WeirError that says what was lost, where it cannot go on without losing something and the project wants to stop
 */
export async function start(options: StartOptions): Promise<Begun> {
  const { context, facts } = options;
  const saved = readCursor(context.cursor);
  if (saved === undefined) return await begin(options, firstCursor(options), await unexpectedSlot(options));
  if (saved.state === "creating") return await begin(options, saved, undefined);
  const slot = await freeSlot(options);
  const gap =
    saved.system === facts.system && saved.database === facts.database
      ? gapOf(options.slot, { lsn: parseLsn(saved.lsn), at: saved.at }, slot)
      : changedSystem(saved, facts);
  if (gap !== undefined) return await begin(options, saved, gap);
  saved.slot = options.slot;
  const checkpoint = new Checkpoint(saved, (cursor) => context.saveCursor(cursor));
  const tables = capturedTables(options, saved, checkpoint);
  await tables.look();
  return { cursor: saved, checkpoint, tables };
}

function capturedTables(
  options: StartOptions,
  cursor: PostgresCursor,
  checkpoint: Checkpoint,
): CapturedTables {
  const { spec, context, control, facts, publication } = options;
  const { version } = facts;
  return new CapturedTables({
    wire: control,
    version,
    patterns: spec.tables,
    tags: spec.pii,
    publication,
    cursor,
    log: (level, message, fields) => context.log(level, message, fields),
    gone: (streams) => appendGone(context, control, cursor, streams),
    reshaped: (table, published) => appendColumns(options, cursor, table, published),
    save: () => checkpoint.now(),
  });
}

/** Tables that were dropped or renamed: every row that was captured under the name is gone. */
async function appendGone(
  context: CaptureContext,
  control: Wire,
  { epoch }: PostgresCursor,
  streams: readonly string[],
): Promise<void> {
  const { lsn, at } = await newPosition(control);
  const version = `${versionLsn(epoch, lsn)}-00000000`;
  await context.append(
    streams.map((stream) => tableChange(context.source, stream, "truncate", version, at, "gone", "null")),
  );
}

async function appendColumns(
  { context, control, types }: StartOptions,
  { epoch }: PostgresCursor,
  table: CatalogTable,
  published: PublishedTable | undefined,
): Promise<string> {
  const { lsn, at } = await newPosition(control);
  const version = `${versionLsn(epoch, lsn)}-00000001`;
  const columns = shownColumns(table, published, types);
  const row = JSON.stringify({ columns });
  await context.append([tableChange(context.source, table.stream, "schema", version, at, "columns", row)]);
  return columnsText(columns);
}

/** A change of a table as a whole that the stream does not tell of. */
function tableChange(
  source: string,
  stream: string,
  op: string,
  version: string,
  at: string,
  what: string,
  row: string,
): CapturedRecord {
  const id = `${version}/${stream}/${what}`;
  return {
    contract: source,
    ...changeLine({ id, at, stream: JSON.stringify(stream), op, key: "[]", version, row }),
  };
}

function firstCursor({ facts, slot }: StartOptions): PostgresCursor {
  const { system, database } = facts;
  return { format: 1, system, database, slot, epoch: 0, state: "creating", lsn: "0/0", at: null, tables: {} };
}

/** Makes a new slot and plans to read every table from its position on. */
async function begin(options: StartOptions, cursor: PostgresCursor, gap: Gap | undefined): Promise<Begun> {
  const { context, control, facts, slot } = options;
  if (gap !== undefined) decide(options, gap);
  const again = cursor.lsn !== "0/0";
  cursor.state = "creating";
  cursor.slot = slot;
  if (cursor.system !== facts.system || cursor.database !== facts.database) nextEpoch(cursor);
  cursor.system = facts.system;
  cursor.database = facts.database;
  const checkpoint = new Checkpoint(cursor, (value) => context.saveCursor(value));
  await checkpoint.now();
  if ((await freeSlot(options)) !== undefined) await dropSlot(control, slot);
  const { lsn } = await position(control);
  // A log that ends before what was captured does not continue it: the server was restored to an earlier state.
  if (lsn < parseLsn(cursor.lsn)) nextEpoch(cursor);
  // Tables that were captured before are known, so that a fence ends the read of what was deleted meanwhile.
  const tables = capturedTables(options, cursor, checkpoint);
  await tables.look(!again);
  const begins = await createSlot(control, facts.version, slot);
  cursor.lsn = formatLsn(begins);
  const version = versionLsn(cursor.epoch, begins);
  const { at } = await position(control);
  for (const state of Object.values(cursor.tables)) {
    state.read = { version, at, begun: false, published: false, fence: again, after: null, rows: 0 };
  }
  if (Object.keys(cursor.tables).length === 0) {
    context.log("warn", "no table is captured: none fits, or none that fits can be captured");
  }
  cursor.state = "streaming";
  await checkpoint.now();
  context.log("info", `replication slot ${slot} begins at ${cursor.lsn}`);
  return { cursor, checkpoint, tables };
}

function nextEpoch(cursor: PostgresCursor): void {
  if (cursor.epoch >= maxEpoch) {
    throw new WeirError("postgres_system_changed", "The database of this source was replaced too often.", {
      remedy: "Declare it under another name.",
    });
  }
  cursor.epoch += 1;
  cursor.lsn = "0/0";
}

/** Goes on after a gap, or throws. A slot that the server gave up can only be replaced: there is nothing to decide. */
function decide({ spec, context }: StartOptions, { code, message }: Gap): void {
  const where = placeOf(spec.url);
  if (code !== "postgres_slot_lost" && spec.onGap === "stop") throw new WeirError(code, message, { where });
  context.log("warn", `${message} All tables are read again; what was loaded stays until then.`, { code });
}

function changedSystem(saved: PostgresCursor, facts: ServerFacts): Gap {
  return {
    code: "postgres_system_changed",
    message:
      `This is another database: cluster ${facts.system}, database ${facts.database}. Captured so far was ` +
      `${saved.database} of cluster ${saved.system}, up to ${saved.lsn}${saved.at === null ? "" : ` (committed ${saved.at})`}.`,
  };
}

/** A slot of our name though we have no position: somebody else's, or the position was lost. */
async function unexpectedSlot(options: StartOptions): Promise<Gap | undefined> {
  const slot = await freeSlot(options);
  if (slot === undefined) return undefined;
  return {
    code: "postgres_slot_exists",
    message: `There is a replication slot ${options.slot}, and no saved position to read it from.`,
  };
}

/** The slot, once nobody reads from it. A process of ours that was killed may hold it for a moment. */
async function freeSlot({
  spec,
  context,
  control,
  facts,
  slot,
  slotFreeWithinMs,
}: StartOptions): Promise<SlotState | undefined> {
  const giveUpMs = performance.now() + slotFreeWithinMs;
  for (;;) {
    const state = await readSlot(control, facts.version, slot);
    if (state === undefined || state.activePid === null) return checked(state, facts, slot, spec);
    if (performance.now() > giveUpMs || context.signal.aborted) {
      throw new WeirError(
        "postgres_slot_active",
        `Process ${state.activePid} of the server reads from the replication slot ${slot}.`,
        {
          where: placeOf(spec.url),
        },
      );
    }
    await pause(100);
  }
}

function checked(
  state: SlotState | undefined,
  facts: ServerFacts,
  slot: string,
  spec: PostgresSource,
): SlotState | undefined {
  if (state === undefined || (state.plugin === "pgoutput" && state.database === facts.database)) return state;
  throw new WeirError(
    "postgres_slot_foreign",
    `The replication slot ${slot} is of plugin ${state.plugin || "none"} and database ${state.database || "none"}.`,
    { where: placeOf(spec.url) },
  );
}
