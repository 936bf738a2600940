import type { TableProgram } from "@weir/compile";
import { ident, keptStates } from "@weir/compile";
import type { Sql } from "../database.ts";

/** What is different between the live rows of a view and those that are to take their place, as of one commit. */
export interface ViewComparison {
  readonly view: string;
  readonly liveRows: number;
  readonly newRows: number;
  readonly onlyLive: number;
  readonly onlyNew: number;
  /** Rows of one key that are not the same; 0 where rows are compared as a whole. */
  readonly different: number;
  /** Some of them, as JSON texts. */
  readonly samples: readonly RowPair[];
}

export interface RowPair extends Record<string, string | null> {
  live: string | null;
  new: string | null;
}

const mostSamples = 5;

/**
 * Compares every view of tables with what the same statements give over the state in another catalog: the first view of a
 * table row by row by its key, the others as sets of rows.
 *
 * @param sql in a transaction, so that all is of one commit; the catalog is attached
 */
export async function compareTables(
  sql: Sql,
  tables: readonly TableProgram[],
  catalog: string,
): Promise<ViewComparison[]> {
  const found: ViewComparison[] = [];
  for (const { name: table, views, key, history } of tables) {
    for (const [i, { name, sql: query }] of views.entries()) {
      // Of a history that is cut off, what is built beside has the whole.
      const live = name === history?.view ? keptStates(table, query) : query;
      // The statements name the state in one way only.
      const other = live.replaceAll("db.state.", `${catalog}.state.`);
      found.push(await compareRows(sql, name, live, other, i === 0 ? key : undefined));
    }
  }
  return found;
}

export const isSame = ({ onlyLive, onlyNew, different }: ViewComparison): boolean =>
  onlyLive + onlyNew + different === 0;

/** @param key columns that name a row; where there are none given, all rows that are equal are one */
export async function compareRows(
  sql: Sql,
  view: string,
  live: string,
  other: string,
  key: readonly string[] | undefined,
): Promise<ViewComparison> {
  const columns = (key ?? []).map((column) => `v.${ident(column)} AS ${ident(column)}`);
  const side = (query: string): string =>
    key === undefined
      ? `SELECT v AS _row, row_number() OVER (PARTITION BY v) AS _same, TRUE AS _is FROM (${query}) v`
      : `SELECT ${[...columns, "v AS _row", "1 AS _same", "TRUE AS _is"].join(", ")} FROM (${query}) v`;
  const same = (key ?? []).map((column) => `l.${ident(column)} IS NOT DISTINCT FROM n.${ident(column)}`);
  const whole = key === undefined ? ["l._row IS NOT DISTINCT FROM n._row"] : [];
  const joined = `(${side(live)}) l FULL JOIN (${side(other)}) n ON ${["l._same = n._same", ...same, ...whole].join(" AND ")}`;
  const isOther = "l._is IS NULL OR n._is IS NULL OR l._row IS DISTINCT FROM n._row";
  const counts = await sql.row<Record<string, number>>(
    `SELECT count(l._is)::DOUBLE AS "liveRows", count(n._is)::DOUBLE AS "newRows",
       count(*) FILTER (n._is IS NULL)::DOUBLE AS "onlyLive", count(*) FILTER (l._is IS NULL)::DOUBLE AS "onlyNew",
       count(*) FILTER (l._is AND n._is AND l._row IS DISTINCT FROM n._row)::DOUBLE AS different FROM ${joined}`,
  );
  const { liveRows = 0, newRows = 0, onlyLive = 0, onlyNew = 0, different = 0 } = counts;
  const samples =
    onlyLive + onlyNew + different === 0
      ? []
      : await sql.rows<RowPair>(
          `SELECT to_json(l._row)::VARCHAR AS live, to_json(n._row)::VARCHAR AS new FROM ${joined} WHERE ${isOther} LIMIT ${mostSamples}`,
        );
  return { view, liveRows, newRows, onlyLive, onlyNew, different, samples };
}
