import { existsSync } from "node:fs";
import type { ContractProgram, Program } from "@weir/compile";
import { ident, keptStates, text } from "@weir/compile";
import { failpoint } from "@weir/log";
import type { Sql } from "./database.ts";
import { notSuperseded } from "./history.ts";
import type { Lake } from "./lake.ts";

/**
 * What users query: a view a contract, a view a table, `raw` and `quarantine`.
 *
 * Views over Parquet read the files that a variable lists, and the variable is set from the manifest within the
 * query's transaction: a query sees exactly the commits that its tables show, not what happens to lie on disk.
 */
const rawColumns: readonly [string, string][] = [
  ["writer", "VARCHAR"],
  ["number", "UBIGINT"],
  ["line", "UINTEGER"],
  ["received_at", "TIMESTAMP"],
  ["contract", "VARCHAR"],
  ["keys", "INTEGER"],
  ["nulls", "INTEGER"],
  ["error", "VARCHAR"],
  ["text", "VARCHAR"],
  // Of the text as it was received, where it is kept otherwise.
  ["content", "UBIGINT"],
];

/** `received_commit` took it in; `attempts` is how often it was judged, the last time by `task`. Files that older versions wrote lack these. */
export const quarantineColumns: readonly [string, string][] = [
  ["source", "VARCHAR"],
  ["writer", "VARCHAR"],
  ["number", "UBIGINT"],
  ["line", "UINTEGER"],
  ["received_at", "TIMESTAMP"],
  ["contract", "VARCHAR"],
  ["sent", "VARCHAR"],
  ["reason", "VARCHAR"],
  ["detail", "VARCHAR"],
  ["violations", "VARCHAR"],
  ["text", "VARCHAR"],
  ["base64", "VARCHAR"],
  ["received_commit", "UBIGINT"],
  ["attempts", "UINTEGER"],
  ["task", "UBIGINT"],
];

export const quarantineEmptyPath = "quarantine/_columns-2.parquet";
/** The name of a record in quarantine: its place in the log. */
export const quarantineId = "source || '/' || writer || '/' || number || '/' || line";

/** A view over files: its name, where its manifest entries are, and a file that gives it columns when it has none. */
export interface FileView {
  readonly name: string;
  readonly zone: string;
  /** The manifest's name; undefined for all of the zone. */
  readonly entries: string | undefined;
  readonly emptyPath: string;
}

const variableOf = (view: string): string => `weir_files_${view}`;

const emptyQuery = (columns: readonly (readonly [string, string])[]): string =>
  `SELECT ${columns.map(([name, type]) => `NULL::${type} AS ${ident(name)}`).join(", ")} WHERE FALSE`;

/** Every view as a query of no rows or of tables: what columns there are, without a lake. */
export function emptyViews(program: Program): { readonly name: string; readonly sql: string }[] {
  return [
    ...program.contracts.map(({ contract, columns }) => ({
      name: contract.name,
      sql: emptyQuery(columns.map(({ name, type }) => [name, type] as const)),
    })),
    { name: "raw", sql: emptyQuery([["source", "VARCHAR"], ...rawColumns]) },
    { name: "quarantine", sql: emptyQuery([["id", "VARCHAR"], ...quarantineColumns]) },
    ...program.tables.flatMap(({ views }) => views),
  ];
}

/** Creates every view of the program and drops those of programs before it. */
export async function createViews(sql: Sql, lake: Lake, program: Program): Promise<FileView[]> {
  const old = await sql.rows<{ name: string }>(
    "SELECT view_name AS name FROM duckdb_views() WHERE database_name = 'db' AND schema_name = 'main' AND NOT internal",
  );
  for (const { name } of old) {
    await sql.run(`DROP VIEW db.main.${ident(name)}`);
    failpoint("engine.open.view_dropped");
  }
  const views: FileView[] = [];
  const fileView = async (view: FileView, empty: string, query: string): Promise<void> => {
    if (!existsSync(lake.path(view.emptyPath))) {
      await lake.write(sql, empty, {
        zone: "clean",
        name: "",
        path: view.emptyPath,
        minTime: "",
        maxTime: "",
      });
    }
    await setFiles(sql, lake, view);
    await sql.run(`CREATE VIEW db.main.${ident(view.name)} AS ${query}`);
    failpoint("engine.open.view_created");
    views.push(view);
  };
  const read = (name: string): string =>
    `read_parquet(getvariable(${text(variableOf(name))}), union_by_name = true, hive_partitioning = false`;
  for (const contract of program.contracts) {
    const { name } = contract.contract;
    const emptyPath = `clean/${name}/_columns-${hashOf(contract)}.parquet`;
    await fileView(
      { name, zone: "clean", entries: name, emptyPath },
      contract.emptyClean,
      cleanView(contract, `${read(name)})`),
    );
  }
  await fileView(
    { name: "raw", zone: "raw", entries: undefined, emptyPath: "raw/_columns-2.parquet" },
    emptyQuery(rawColumns),
    `SELECT split_part(split_part(filename, '/raw/', -1), '/', 1) AS source, * EXCLUDE (filename) FROM ${read("raw")}, filename = true)`,
  );
  await fileView(
    {
      name: "quarantine",
      zone: "quarantine",
      entries: undefined,
      emptyPath: quarantineEmptyPath,
    },
    emptyQuery(quarantineColumns),
    `SELECT ${quarantineId} AS id, * FROM ${read("quarantine")})`,
  );
  for (const { name: table, views: own, history } of program.tables) {
    for (const { name, sql: query } of own) {
      const shown = name === history?.view ? keptStates(table, query) : query;
      await sql.run(`CREATE VIEW db.main.${ident(name)} AS ${shown}`);
    }
  }
  return views;
}

function cleanView(contract: ContractProgram, source: string): string {
  const columns = contract.columns.map(
    (column) => `${ident(column.name)}::${column.type} AS ${ident(column.name)}`,
  );
  return `SELECT ${columns.join(", ")} FROM ${source} c WHERE ${notSuperseded(contract)}`;
}

/** Lets a view read the files of the manifest, as this transaction sees it. */
export async function setFiles(sql: Sql, lake: Lake, view: FileView): Promise<void> {
  const entries = view.entries === undefined ? "" : `AND name = ${text(view.entries)}`;
  const root = text(`${lake.root}/`);
  await sql.run(`SET VARIABLE ${variableOf(view.name)} = (
    SELECT list_concat([${text(lake.path(view.emptyPath))}], coalesce(list(${root} || path ORDER BY "commit", path), []))
    FROM db.weir.files WHERE zone = ${text(view.zone)} ${entries})`);
}

/** Lets a view read no file but the one that gives it columns: to bind it takes as long as there are files. */
export const setNoFiles = (sql: Sql, lake: Lake, view: FileView): Promise<void> =>
  sql.run(`SET VARIABLE ${variableOf(view.name)} = [${text(lake.path(view.emptyPath))}]`);

function hashOf(contract: ContractProgram): string {
  let hash = 0;
  for (const character of contract.emptyClean) hash = (Math.imul(hash, 31) + character.charCodeAt(0)) >>> 0;
  return hash.toString(16);
}
