import { setTimeout as pause } from "node:timers/promises";
import type { JsonObject } from "@weir/contract";
import { WeirError } from "@weir/contract";
import type { CaptureContext } from "../capture.ts";
import { CursorFile } from "../cursor.ts";
import type { Interval, IntervalCapture, IntervalPart, PartPlace } from "../interval.ts";
import { readParts } from "../interval.ts";
import type { LineBuffer } from "../line-buffer.ts";
import { passes } from "./captured-tables.ts";
import { describeTables, readPublication, typeNames } from "./catalog.ts";
import type { CatalogTable, Publication, PublishedTable } from "./catalog.ts";
import { TypeNames } from "./columns.ts";
import { connect, placeOf, sourceError } from "./connect.ts";
import { readCursor } from "./cursor.ts";
import type { PostgresCursor } from "./cursor.ts";
import { parseLsn, versionLsn } from "./lsn.ts";
import { TablePatterns } from "./patterns.ts";
import { newPosition } from "./position.ts";
import { publishes } from "./publication.ts";
import { serverFacts, unfitServer } from "./server-facts.ts";
import type { ServerFacts } from "./server-facts.ts";
import { serverNames } from "./source.ts";
import type { PostgresSource } from "./source.ts";
import { sameShape, shapeOf } from "./table-plan.ts";
import { TableReader, qualified } from "./table-read.ts";
import type { ChunkResult } from "./table-read.ts";
import { nextLimit, quietWriters } from "./table-readers.ts";
import { identifier, literal } from "./wire.ts";
import type { Wire } from "./wire.ts";

/*
 * The rows of captured tables of which a column is in an interval, read beside the stream.
 *
 * Invariant: what is read of a table has a position in the write-ahead log, as the first read of a table has (see TableReader):
 * whatever was committed before it is seen by every chunk, as all transactions that had written to the table have ended by then
 * (`quietWriters`); whatever is committed behind it is streamed. So a row that is read wins over all that it has seen, and loses
 * against all that came later, whichever of them is in the log first.
 *
 * That takes what only live capture knows: that the table's changes are streamed, from which cluster and database, and the epoch
 * that versions begin with. It is in its cursor, which is read before each chunk and never written here. Where the server does
 * not fit it, nothing is read.
 *
 * Position, epoch and the table's shape are saved before the first chunk. Once they are no longer those of the table, it is read from
 * its start at a new position. A chunk that a crash made be read again is made of records of its own, as its rows may have changed: of two
 * reads the later wins.
 */

export interface PostgresIntervalOptions {
  readonly source: string;
  /** The column that has to be in the interval. */
  readonly column: string;
  /** Which of the captured tables; undefined: those that have the column. */
  readonly tables: readonly string[] | undefined;
  /** Where live capture keeps its cursor. */
  readonly cursorFile: string;
}

/** What a chunk should come to: so much waits for the log outside of the transaction that reads it. */
const chunkBytes = 4 * 1024 * 1024;
const heldBytes = 16 * 1024 * 1024;
const firstRows = 1_000;
const maxTries = 10;

/**
 * Reads the rows of which a column is in an interval.
 *
 * @throws WeirError `invalid_usage` for a pattern that is none
 */
export function createPostgresInterval(
  spec: PostgresSource,
  interval: Interval,
  options: PostgresIntervalOptions,
): IntervalCapture {
  return new PostgresInterval(spec, interval, options);
}

const unavailable = (message: string, remedy: string, where?: string): WeirError =>
  new WeirError("interval_unavailable", message, { remedy, ...(where === undefined ? {} : { where }) });

/** A server that fits what is captured of it. */
interface Server {
  readonly wire: Wire;
  readonly facts: ServerFacts;
}

/** A captured table as it is now. */
interface FoundTable {
  readonly stream: string;
  readonly leftOut: string | undefined;
  /** Undefined where it is left out. */
  readonly read:
    | {
        readonly table: CatalogTable;
        readonly published: PublishedTable | undefined;
        readonly condition: string;
      }
    | undefined;
}

class PostgresInterval implements IntervalCapture {
  readonly unit = "tables";
  /** What is committed can be read at once. */
  readonly settleMs = 0;
  readonly #spec: PostgresSource;
  readonly #interval: Interval;
  readonly #options: PostgresIntervalOptions;
  readonly #patterns: TablePatterns | undefined;

  constructor(spec: PostgresSource, interval: Interval, options: PostgresIntervalOptions) {
    this.#spec = spec;
    this.#interval = interval;
    this.#options = options;
    try {
      this.#patterns = options.tables === undefined ? undefined : new TablePatterns(options.tables);
    } catch (cause) {
      throw new WeirError("invalid_usage", `--tables: ${(cause as Error).message}.`, { cause });
    }
  }

  async parts(): Promise<IntervalPart[]> {
    return await this.#connected(undefined, async (server) => {
      const parts: IntervalPart[] = [];
      for (const { stream: name, leftOut, read } of await this.#tables(server)) {
        const rows = read === undefined ? null : await estimate(server.wire, read.table, read.condition);
        parts.push({ name, rows, ...(leftOut === undefined ? {} : { leftOut }) });
      }
      return parts;
    });
  }

  async run(context: CaptureContext): Promise<void> {
    await this.#connected(context.signal, async (server) => {
      const found = await this.#tables(server);
      const types = new TypeNames(await typeNames(server.wire));
      await readParts(context, {
        names: found.flatMap(({ stream, read }) => (read === undefined ? [] : [stream])),
        read: async (stream, at) => {
          const mostRows = this.#spec.snapshot.rows;
          const reading = { source: this.#options.source, server, types, context, at, mostRows };
          await new TableInterval(reading, () => this.#table(server, stream)).read();
        },
        isItsOwn: ({ code }) => code === "interval_unavailable",
      });
    });
  }

  async #connected<T>(signal: AbortSignal | undefined, work: (server: Server) => Promise<T>): Promise<T> {
    const { url } = this.#spec;
    try {
      const wire = await connect({ url, name: `weir ${this.#options.source} backfill` });
      const close = (): void => void wire.close();
      signal?.addEventListener("abort", close);
      try {
        const facts = await serverFacts(wire);
        const unfit = unfitServer(facts, placeOf(url));
        if (unfit !== undefined) throw unfit;
        return await work({ wire, facts });
      } finally {
        signal?.removeEventListener("abort", close);
        await wire.close();
      }
    } catch (error) {
      signal?.throwIfAborted();
      throw sourceError(url, error);
    }
  }

  /** The cursor of live capture, if it is about this server. */
  #live({ system, database }: ServerFacts): PostgresCursor {
    const live = readCursor(new CursorFile(this.#options.cursorFile).load());
    const where = placeOf(this.#spec.url);
    if (live?.state !== "streaming") {
      throw unavailable(
        "The source is not captured yet, so what is read could not be ordered against its changes.",
        "Start it with weir up, and run the command again once `weir status` shows it as streaming.",
        where,
      );
    }
    if (live.system !== system || live.database !== database) {
      throw unavailable(
        `This is not the database that is captured: that is ${live.database} of cluster ${live.system}.`,
        'Correct the url, or have the source read all tables of the new one with onGap: "snapshot".',
        where,
      );
    }
    return live;
  }

  /** The captured tables that are asked for, those that have no such column only where they are named. */
  async #tables({ wire, facts }: Server, only?: string): Promise<FoundTable[]> {
    const { tables } = this.#live(facts);
    const { publication: name } = serverNames(this.#spec, this.#options.source);
    const publication = await readPublication(wire, facts.version, name);
    const wanted = Object.entries(tables).filter(([stream]) => {
      if (only !== undefined && stream !== only) return false;
      const [schema = "", ...table] = stream.split(".");
      return this.#patterns?.wants(schema, table.join(".")) ?? true;
    });
    const oids = wanted.map(([, { oid }]) => oid);
    const described = await describeTables(wire, facts.version, oids);
    return wanted.flatMap(([stream, { suspended }]): FoundTable[] => {
      const table = described.find((one) => one.stream === stream);
      const hasColumn = table?.columns.some((column) => column.name === this.#options.column) === true;
      if (!hasColumn && this.#patterns === undefined) return [];
      const leftOut =
        suspended === true
          ? "it cannot be captured at the moment"
          : this.#whyNot(table, publication, facts.version);
      if (table === undefined || leftOut !== undefined) return [{ stream, leftOut, read: undefined }];
      const published = publication?.tables.find((one) => `${one.schema}.${one.table}` === stream);
      const condition = this.#condition(table);
      return [{ stream, leftOut, read: { table, published, condition } }];
    });
  }

  #whyNot(
    table: CatalogTable | undefined,
    publication: Publication | undefined,
    version: number,
  ): string | undefined {
    const { column: name } = this.#options;
    if (table === undefined) return "it was dropped or renamed";
    if (!table.readable) return "the role may not SELECT from it";
    if (table.rowSecurity) return "row security hides rows of it from the role";
    if (!publishes(version, publication, table)) return "it is not published";
    const column = table.columns.find((one) => one.name === name);
    if (column === undefined) return `it has no column ${name}`;
    return column.type in bounds ? undefined : `its column ${name} is neither a timestamp nor a date`;
  }

  #condition(table: CatalogTable): string {
    const { column: name } = this.#options;
    const bound = bounds[table.columns.find((one) => one.name === name)?.type ?? 0];
    const { fromMs, toMs } = this.#interval;
    return `${identifier(name)} >= ${bound?.(fromMs)} AND ${identifier(name)} < ${bound?.(toMs)}`;
  }

  /** @throws WeirError `interval_unavailable` where it cannot be read any more */
  async #table(server: Server, stream: string): Promise<CurrentTable> {
    const live = this.#live(server.facts);
    const [found] = await this.#tables(server, stream);
    if (found?.read !== undefined) return { ...found.read, live };
    const why = found?.leftOut ?? "it is not captured any more";
    throw unavailable(
      `${stream} is not read: ${why}.`,
      "docs/guide/postgres.md tells how tables are captured.",
    );
  }
}

const dayMs = 86_400_000;

/** A time as a value of the column's type, by oid. A time without a zone is taken for UTC, a date for its first moment. */
const bounds: Readonly<Record<number, (ms: number) => string>> = {
  1184: (ms) => `${literal(new Date(ms).toISOString())}::timestamptz`,
  1114: (ms) => `${literal(new Date(ms).toISOString().replace("Z", ""))}::timestamp`,
  // The first day that does not begin before it.
  1082: (ms) => `${literal(new Date(Math.ceil(ms / dayMs) * dayMs).toISOString().slice(0, 10))}::date`,
};

/** Rows that the server expects, by its statistics. */
async function estimate(wire: Wire, table: CatalogTable, condition: string): Promise<number | null> {
  const [row] = await wire.query(
    `EXPLAIN (FORMAT JSON) SELECT 1 FROM ${qualified(table.schema, table.table)} WHERE ${condition}`,
  );
  const [plan] = JSON.parse(row?.[0] ?? "[]") as { Plan?: { "Plan Rows"?: number } }[];
  return plan?.Plan?.["Plan Rows"] ?? null;
}

interface CurrentTable {
  readonly table: CatalogTable;
  readonly published: PublishedTable | undefined;
  readonly condition: string;
  readonly live: PostgresCursor;
}

interface Reading {
  readonly source: string;
  readonly server: Server;
  readonly types: TypeNames;
  readonly context: CaptureContext;
  readonly at: PartPlace;
  /** Of a chunk. */
  readonly mostRows: number;
}

interface Place {
  /** What its position is good for. */
  readonly shape: string;
  readonly version: string;
  readonly at: string;
  readonly after: readonly string[] | null;
}

/** One table's rows of an interval. */
class TableInterval {
  readonly #reading: Reading;
  readonly #look: () => Promise<CurrentTable>;
  #limit: number;

  constructor(reading: Reading, look: () => Promise<CurrentTable>) {
    this.#reading = reading;
    this.#look = look;
    this.#limit = Math.min(firstRows, reading.mostRows);
  }

  async read(): Promise<void> {
    const { at, context } = this.#reading;
    let place = loadedPlace(at.saved);
    for (let tries = 0; ;) {
      context.signal.throwIfAborted();
      try {
        const now = await this.#look();
        const shape = shapeText(now);
        if (place?.shape !== shape) place = await this.#begin(now, shape);
        const result = await this.#chunk(now, place);
        if (result.kind === "read") {
          tries = 0;
          if (result.last === null) return;
          place = { ...place, after: result.last };
          await at.save(savedPlace(place));
          continue;
        }
      } catch (error) {
        if (!passes(error) || ++tries >= maxTries) throw error;
      }
      // The table is being changed, or held by another transaction.
      await pause(50, undefined, { signal: context.signal });
    }
  }

  /** Chooses the position of the read. */
  async #begin({ table, live }: CurrentTable, shape: string): Promise<Place> {
    const { at, context, server } = this.#reading;
    const here = await newPosition(server.wire);
    if (here.lsn < parseLsn(live.lsn)) {
      throw unavailable(
        `The server's log ends before ${live.lsn}, up to where it was captured: it was restored to an earlier state.`,
        'Have the source read all tables again with onGap: "snapshot".',
      );
    }
    await quietWriters(server.wire, table, context.signal);
    context.signal.throwIfAborted();
    const place = { shape, version: versionLsn(live.epoch, here.lsn), at: here.at, after: null };
    await at.save(savedPlace(place));
    return place;
  }

  /** Reads a chunk; its rows wait for the log once the transaction that read them has ended, but for those of a very large one. */
  async #chunk({ table, published, condition }: CurrentTable, place: Place): Promise<ChunkResult> {
    const { source, server, types, context, at, mostRows } = this.#reading;
    const held: LineBuffer[] = [];
    let size = 0;
    const reader = new TableReader(server.wire, {
      source,
      version: server.facts.version,
      types,
      append: (records) => context.append(records),
      appendLines: async (lines) => {
        size += lines.size;
        if (size > heldBytes) await context.appendLines(lines);
        else held.push(lines);
      },
      unencoded: server.facts.encoding === "SQL_ASCII",
      condition,
    });
    const startedMs = performance.now();
    const { version, after } = place;
    const read = { version, at: place.at, begun: true, published: false, fence: false, after, rows: 0 };
    const shape = shapeOf(table, published);
    const result = await reader.chunk(table, published, read, this.#limit, (now) =>
      sameShape(shape, shapeOf(now, published)),
    );
    if (result.kind === "changed") return result;
    this.#limit = nextLimit(this.#limit, result, performance.now() - startedMs, mostRows, chunkBytes);
    for (const lines of held) await context.appendLines(lines);
    at.appended(result.rows);
    return result;
  }
}

const shapeText = ({ table, published, live }: CurrentTable): string =>
  JSON.stringify([live.system, live.database, live.epoch, table.oid, shapeOf(table, published)]);

const savedPlace = ({ shape, version, at, after }: Place): JsonObject => ({
  shape,
  version,
  at,
  after: after === null ? null : [...after],
});

function loadedPlace(saved: JsonObject | undefined): Place | undefined {
  if (saved === undefined) return undefined;
  const { shape, version, at, after } = saved as unknown as Place;
  return { shape, version, at, after };
}
