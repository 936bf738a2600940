import type { CaptureContext, CapturedRecord } from "../capture.ts";
import { describeTables } from "./catalog.ts";
import type { CatalogTable, PublishedTable } from "./catalog.ts";
import { columnsText } from "./columns.ts";
import type { ShownColumn, TypeNames } from "./columns.ts";
import type { TableRead } from "./cursor.ts";
import { versionLsn } from "./lsn.ts";
import { position } from "./position.ts";
import { changeLine } from "./row-text.ts";
import { RowWriter } from "./row-writer.ts";
import { ServerError, identifier, literal } from "./wire.ts";
import type { Wire } from "./wire.ts";

/** Ordinals at the position of a read; see `firstOrdinal` of the streamed changes. */
const fenceOrdinal = "00000000";
const rowOrdinal = "00000001";

export interface TableReaderOptions {
  readonly source: string;
  readonly version: number;
  readonly types: TypeNames;
  readonly append: CaptureContext["append"];
  readonly appendLines: CaptureContext["appendLines"];
  readonly unencoded: boolean;
  /** Only rows of which this is true. */
  readonly condition?: string;
}

/** What a chunk came to. */
export type ChunkResult =
  | {
      readonly kind: "read";
      readonly rows: number;
      readonly bytes: number;
      readonly last: readonly string[] | null;
    }
  /** The table is not as it was when the read was planned; nothing was read. */
  | { readonly kind: "changed" };

/** Columns of a table that are published, and so are captured. */
export function publishedColumns(
  table: CatalogTable,
  published: PublishedTable | undefined,
): CatalogTable["columns"] {
  const names = published?.columns;
  return table.columns.filter(({ name, generated }) =>
    names === null || names === undefined ? generated === "" : names.includes(name),
  );
}

/** Whether a table can be read in chunks: its key is that of an index. Else it is read in one piece. */
const hasOrder = ({ order }: CatalogTable): boolean => order.length > 0;

/**
 * Reads tables in chunks by key, each in a short transaction of its own, as records that any streamed change beats.
 *
 * A row is versioned with the position at which the read was planned, and by when it was read, so that of two reads the later
 * wins. That is right because whatever was committed before the position is visible to every chunk (see `quietWriters`), and
 * whatever is committed behind it is streamed.
 */
export class TableReader {
  readonly #options: TableReaderOptions;
  readonly #wire: Wire;

  constructor(wire: Wire, options: TableReaderOptions) {
    this.#wire = wire;
    this.#options = options;
  }

  /**
   * Reads up to `limit` rows behind the key where the last chunk ended; resolves when they are durable.
   *
   * @param same whether the table is still what the read was planned for
   */
  async chunk(
    table: CatalogTable,
    published: PublishedTable | undefined,
    read: TableRead,
    limit: number,
    same: (now: CatalogTable) => boolean,
  ): Promise<ChunkResult> {
    const [partition] = read.partitions ?? [];
    const from = partition === undefined ? undefined : await this.#partition(partition);
    if (from === null) return { kind: "changed" };
    const place = from ?? `${table.partitioned ? "" : "ONLY "}${qualified(table.schema, table.table)}`;
    try {
      await this.#wire.query(
        `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; LOCK TABLE ${place} IN ACCESS SHARE MODE`,
      );
      const [now] = await describeTables(this.#wire, this.#options.version, [table.oid]);
      if (now === undefined || !same(now)) return { kind: "changed" };
      return await this.#copy(now, published, read, limit, place);
    } catch (error) {
      // 42P01: no such table; 3F000: no such schema. It was renamed or dropped since it was listed.
      if (error instanceof ServerError && /^(42P01|3F000)$/.test(error.code)) return { kind: "changed" };
      throw error;
    } finally {
      await this.#wire.query("ROLLBACK").catch(() => undefined);
    }
  }

  /** What ends a read: of rows that it did not find, those from before its position are gone. */
  async fence(table: CatalogTable, read: TableRead): Promise<void> {
    await this.#options.append([this.#record(table, read, "truncate", fenceOrdinal, "null")]);
  }

  /** The record of a table's columns that begins a read. */
  async schema(table: CatalogTable, published: PublishedTable | undefined, read: TableRead): Promise<string> {
    const columns = shownColumns(table, published, this.#options.types);
    // Under a read that begins anew at its position after the columns changed, the later columns win.
    const { lsn } = await position(this.#wire);
    const ordinal = `${rowOrdinal}-${versionLsn(0, lsn)}`;
    await this.#options.append([this.#record(table, read, "schema", ordinal, JSON.stringify({ columns }))]);
    return columnsText(columns);
  }

  async #partition(oid: number): Promise<string | null> {
    const [row] = await this.#wire.query(
      `SELECT nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid = ${oid} AND relispartition`,
    );
    return row === undefined ? null : qualified(row[0] ?? "", row[1] ?? "");
  }

  async #copy(
    table: CatalogTable,
    published: PublishedTable | undefined,
    read: TableRead,
    limit: number,
    place: string,
  ): Promise<ChunkResult> {
    const columns = publishedColumns(table, published);
    const names = columns.map(({ name }) => name);
    const { lsn } = await position(this.#wire);
    const version = `${read.version}-${rowOrdinal}-${versionLsn(0, lsn)}`;
    const keyAt = table.key.map((name) => names.indexOf(name));
    const { source, appendLines, unencoded } = this.#options;
    const writer = new RowWriter({
      wire: this.#wire,
      source,
      append: appendLines,
      unencoded,
      stream: table.stream,
      names,
      keyAt,
      version,
      at: read.at ?? "",
    });
    const conditions = [published?.rowFilter ?? [], this.#options.condition ?? []].flat();
    if (read.after !== null) conditions.push(await this.#behind(table, read.after));
    const order = hasOrder(table) ? ` ORDER BY ${table.order.map(identifier).join(", ")} LIMIT ${limit}` : "";
    const where =
      conditions.length === 0 ? "" : ` WHERE ${conditions.map((text) => `(${text})`).join(" AND ")}`;
    const list = names.map(identifier).join(", ");
    await this.#wire.copyOut(`COPY (SELECT ${list} FROM ${place}${where}${order}) TO STDOUT`, writer);
    await writer.end();
    const { rows, bytes } = writer;
    return {
      kind: "read",
      rows,
      bytes,
      last: hasOrder(table) && rows === limit ? writer.last(table.order) : null,
    };
  }

  /** The condition that a row comes behind a key in the key's order. */
  async #behind(table: CatalogTable, after: readonly string[]): Promise<string> {
    const types = table.order.map((name) => table.columns.find((column) => column.name === name)?.type ?? 0);
    const schemas = await this.#operatorSchemas(types.filter((oid) => oid >= 16384));
    const keys = table.order.map(identifier);
    const values = after.map(literal);
    if (schemas.size === 0) return `(${keys.join(", ")}) > (${values.join(", ")})`;
    // Operators of extensions are not found by name alone; and two of them may not stand in one comparison of rows.
    const operator = (i: number, sign: string): string => {
      const schema = schemas.get(types[i] ?? 0);
      return schema === undefined ? sign : `OPERATOR(${identifier(schema)}.${sign})`;
    };
    return keys
      .map((key, i) => {
        const equal = keys.slice(0, i).map((before, j) => `${before} ${operator(j, "=")} ${values[j]}`);
        return `(${[...equal, `${key} ${operator(i, ">")} ${values[i]}`].join(" AND ")})`;
      })
      .join(" OR ");
  }

  /** Schemas of the ordering operators of types that bring their own. */
  async #operatorSchemas(types: readonly number[]): Promise<Map<number, string>> {
    if (types.length === 0) return new Map();
    const rows = await this.#wire.query(`
      SELECT c.opcintype, n.nspname FROM pg_opclass c
      JOIN pg_am m ON m.oid = c.opcmethod AND m.amname = 'btree'
      JOIN pg_amop a ON a.amopfamily = c.opcfamily AND a.amopstrategy = 5
        AND a.amoplefttype = c.opcintype AND a.amoprighttype = c.opcintype
      JOIN pg_operator o ON o.oid = a.amopopr JOIN pg_namespace n ON n.oid = o.oprnamespace
      WHERE c.opcdefault AND n.nspname <> 'pg_catalog' AND c.opcintype IN (${types.join(", ")})`);
    return new Map(rows.map(([oid, schema]) => [Number(oid), schema ?? ""]));
  }

  #record(table: CatalogTable, read: TableRead, op: string, ordinal: string, row: string): CapturedRecord {
    const version = `${read.version}-${ordinal}`;
    const { text, keys } = changeLine({
      id: `${version}/${table.stream}/${op}`,
      at: read.at ?? "",
      stream: JSON.stringify(table.stream),
      op,
      key: "[]",
      version,
      row,
    });
    return { contract: this.#options.source, text, keys };
  }
}

export const qualified = (schema: string, table: string): string =>
  `${identifier(schema)}.${identifier(table)}`;

export function shownColumns(
  table: CatalogTable,
  published: PublishedTable | undefined,
  types: TypeNames,
): ShownColumn[] {
  return publishedColumns(table, published).map((column) => ({
    name: column.name,
    type: types.text(column),
    key: table.key.includes(column.name),
  }));
}
