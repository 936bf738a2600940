import type { CatalogTable, Publication } from "./catalog.ts";
import { ServerError, identifier } from "./wire.ts";
import type { Wire } from "./wire.ts";

/** What our publications are made with. */
function publicationOptions(version: number): string {
  const kinds = version >= 110000 ? "insert, update, delete, truncate" : "insert, update, delete";
  return [
    `publish = '${kinds}'`,
    ...(version >= 130000 ? ["publish_via_partition_root = true"] : []),
    ...(version >= 180000 ? ["publish_generated_columns = stored"] : []),
  ].join(", ");
}

/** What stands for a table in a publication: itself, or before version 13 its partitions. */
function memberOids(version: number, table: CatalogTable): number[] {
  return table.partitioned && version < 130000 ? Object.keys(table.files).map(Number) : [table.oid];
}

/** SQL that makes the publication publish these tables too, or undefined where it does. */
export function publicationChange(
  version: number,
  name: string,
  publication: Publication | undefined,
  wanted: readonly CatalogTable[],
  partitions: ReadonlyMap<number, string>,
): string | undefined {
  const missing = wanted.filter((table) => !publishes(version, publication, table));
  const tables = missing
    .flatMap((table) =>
      memberOids(version, table)
        .filter((oid) => publication?.members.has(oid) !== true)
        .map((oid) => partitions.get(oid) ?? `${table.partitioned ? "" : "ONLY "}${qualified(table)}`),
    )
    .join(", ");
  if (publication === undefined) {
    if (tables === "") return undefined;
    return `CREATE PUBLICATION ${identifier(name)} FOR TABLE ${tables} WITH (${publicationOptions(version)})`;
  }
  if (tables === "") return undefined;
  return `ALTER PUBLICATION ${identifier(name)} ADD TABLE ${tables}`;
}

const qualified = ({ schema, table }: CatalogTable): string => `${identifier(schema)}.${identifier(table)}`;

/** Whether a publication covers a table as it is. */
export function publishes(
  version: number,
  publication: Publication | undefined,
  table: CatalogTable,
): boolean {
  if (publication === undefined) return false;
  if (publication.allTables) return true;
  const oids = memberOids(version, table);
  if (oids.length > 0 && oids.every((oid) => publication.members.has(oid))) return true;
  return publication.tables.some((one) => one.schema === table.schema && one.table === table.table);
}

/** Names of partitions by oid, for publications that name them. */
export async function partitionNames(
  wire: Wire,
  version: number,
  tables: readonly CatalogTable[],
): Promise<Map<number, string>> {
  const oids = tables.flatMap(({ partitioned, files }) => (partitioned ? Object.keys(files) : []));
  if (version >= 130000 || oids.length === 0) return new Map();
  const rows = await wire.query(
    `SELECT c.oid, nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid IN (${oids.join(", ")})`,
  );
  return new Map(
    rows.map(([oid, schema, table]) => [
      Number(oid),
      `${identifier(schema ?? "")}.${identifier(table ?? "")}`,
    ]),
  );
}

/**
 * Has the publication publish these tables.
 *
 * @returns the SQL that somebody else has to run, where our role may not
 */
export async function extendPublication(
  wire: Wire,
  version: number,
  name: string,
  publication: Publication | undefined,
  wanted: readonly CatalogTable[],
): Promise<string | undefined> {
  const names = await partitionNames(wire, version, wanted);
  const sql = publicationChange(version, name, publication, wanted, names);
  if (sql === undefined) return undefined;
  try {
    await wire.query(sql);
    return undefined;
  } catch (error) {
    // 42501: not the owner of the publication, of a table, or no CREATE on the database.
    if (error instanceof ServerError && error.code === "42501") return sql;
    throw error;
  }
}

/** Takes tables out of our publication that it need not, or must not, publish any more. */
export async function shrinkPublication(wire: Wire, name: string, oids: readonly number[]): Promise<void> {
  if (oids.length === 0) return;
  const rows = await wire.query(
    `SELECT nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid IN (${oids.join(", ")})`,
  );
  const tables = rows.map(([schema, table]) => `${identifier(schema ?? "")}.${identifier(table ?? "")}`);
  if (tables.length > 0)
    await wire.query(`ALTER PUBLICATION ${identifier(name)} DROP TABLE ${tables.join(", ")}`);
}

/** Fixed releases of the majors that had it; later majors never did, earlier ones always will. */
const fixedIn: readonly number[] = [130021, 140018, 150013, 160009, 170005];

/**
 * Whether the server, while it decodes, may go on to take a table for unpublished that was added while a transaction
 * wrote to it (its catalog cache is not told of the addition).
 */
export function forgetsAdditions(version: number): boolean {
  const fixed = fixedIn.find((one) => Math.floor(one / 10000) === Math.floor(version / 10000));
  return fixed === undefined ? version < 130000 : version < fixed;
}

/**
 * Takes a table out of the publication and puts it back in one transaction, so that servers that forget additions notice
 * it. To be called when no transaction is left that wrote to it when it was added.
 */
export async function announceAgain(
  wire: Wire,
  version: number,
  name: string,
  table: CatalogTable,
): Promise<void> {
  const partitions = await partitionNames(wire, version, [table]);
  const publication = identifier(name);
  for (const oid of memberOids(version, table)) {
    const place = partitions.get(oid) ?? `${table.partitioned ? "" : "ONLY "}${qualified(table)}`;
    await wire.query(
      `ALTER PUBLICATION ${publication} DROP TABLE ${place}; ALTER PUBLICATION ${publication} ADD TABLE ${place}`,
    );
  }
}
