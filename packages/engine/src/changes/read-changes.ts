import type { TableProgram } from "@weir/compile";
import { ident, text } from "@weir/compile";
import { WeirError } from "@weir/contract";
import type { Sql } from "../database.ts";
import { eachRow } from "../each-row.ts";
import { rowJson } from "../serve/row-json.ts";
import type { Column } from "../serve/row-json.ts";
import { goneTable } from "./gone.ts";
import type { ChangePosition } from "./position.ts";

/** A row of a table that came, changed or went. */
export interface TableChange {
  readonly op: "upsert" | "delete";
  /** The commit that last changed the row. */
  readonly commit: number;
  /** Where a reader is that has read up to this change. */
  readonly position: ChangePosition;
  /** JSON: an object of the key columns. */
  readonly key: string;
  /** JSON: the row as of the state that was read; undefined for one that went. */
  readonly row: string | undefined;
}

export interface TableChanges {
  /** By commit, then by key. Each key once: of several changes, the last. */
  readonly changes: readonly TableChange[];
  /** The commit whose state was read. */
  readonly commit: number;
  /** Whether there are more, up to that commit. */
  readonly more: boolean;
  /** Where to go on. */
  readonly next: ChangePosition;
}

/**
 * The changes of a table after a position, as of the state that `sql`'s transaction sees.
 *
 * @param columns of the table's first view
 * @param commit that of the state
 * @param limit how many at most, 1 or more
 * @throws WeirError `changes_gone`, `not_found` for a table of which no changes are kept
 */
export async function readChanges(
  sql: Sql,
  table: TableProgram,
  columns: readonly Column[],
  commit: number,
  since: ChangePosition,
  limit: number,
): Promise<TableChanges> {
  const { name, key, stamped } = table;
  const rowText = rowJson(columns);
  const keyColumns = key.flatMap((column) => columns.filter((one) => one.name === column));
  const keyText = key.length === 0 ? "'{}'" : rowJson(keyColumns);
  if (stamped === undefined || rowText === undefined || keyText === undefined) throw notKept(name);
  const start = await startOf(sql, name, since, commit);
  const after = afterSql(keyColumns, start);
  const keys = key.map(ident);
  const noKey = key.length === 0 ? "" : `${keys.join(", ")}, `;
  const order = ["_commit", ...keys.map((column) => `${column} NULLS FIRST`)].join(", ");
  const result = await sql.stream(`
    SELECT _commit::DOUBLE, ${keyText}, CASE WHEN _is THEN ${rowText} END,
      to_json([${keys.map((column) => `${column}::VARCHAR`).join(", ")}]::VARCHAR[])::VARCHAR
    FROM (
      SELECT * FROM (
        SELECT *, TRUE AS _is FROM (${stamped}) WHERE ${after}
        UNION ALL BY NAME
        SELECT ${noKey}_commit, FALSE AS _is FROM db.state.${ident(goneTable(name))} WHERE ${after} AND _commit > ${start.from ?? 0}
      ) ORDER BY ${order} LIMIT ${limit + 1}
    )
    ORDER BY ${order}`);
  const positionOf = (at: number, values?: readonly (string | null)[]): ChangePosition => ({
    commit: at,
    ...(values === undefined ? {} : { key: values }),
    // Past the start there is no difference to a reader who was there all the time.
    ...(start.from === undefined || at > start.from ? {} : { from: start.from }),
    build: start.build,
  });
  const changes: TableChange[] = [];
  await eachRow(result, (value) => {
    const at = value(0) as number;
    const row = (value(2) ?? undefined) as string | undefined;
    changes.push({
      op: row === undefined ? "delete" : "upsert",
      commit: at,
      position: positionOf(at, JSON.parse(value(3) as string) as (string | null)[]),
      key: value(1) as string,
      row,
    });
  });
  const more = changes.length > limit;
  changes.splice(limit);
  const last = changes.at(-1);
  const next = more && last !== undefined ? last.position : { commit, build: start.build };
  return { changes, commit, more, next };
}

/** Where a reader is that wants what changes from now on. */
export async function lastPosition(
  sql: Sql,
  { name, stamped }: TableProgram,
  commit: number,
): Promise<ChangePosition> {
  if (stamped === undefined) throw notKept(name);
  const { build } = await sql.row<{ build: string }>(
    `SELECT build FROM db.weir.changes WHERE name = ${text(name)}`,
  );
  return { commit, build };
}

const notKept = (name: string): WeirError =>
  new WeirError("not_found", `No changes of ${name} are kept.`, { where: name });

interface Start extends ChangePosition {
  readonly build: string;
}

/** The position with what it leaves open filled in. */
async function startOf(sql: Sql, name: string, since: ChangePosition, commit: number): Promise<Start> {
  const { build, built, kept } = await sql.row<{ build: string; built: number; kept: number }>(
    `SELECT build, built::DOUBLE AS built, kept::DOUBLE AS kept FROM db.weir.changes WHERE name = ${text(name)}`,
  );
  const gone = (why: string): WeirError =>
    new WeirError("changes_gone", `${name} cannot be followed from commit ${since.commit}: ${why}.`, {
      where: name,
    });
  if (since.build !== undefined && since.build !== build) throw gone(`it was built anew at commit ${built}`);
  if (since.commit > commit || (since.from ?? 0) > commit) throw gone(`the last commit is ${commit}`);
  const isStart = since.commit === 0 && since.key === undefined && since.from === undefined;
  const from = isStart ? commit : since.from;
  if (since.build === undefined && !isStart && (from ?? since.commit) <= built)
    throw gone(`it was built anew at commit ${built}`);
  if ((from ?? since.commit) < kept) throw gone(`what went up to commit ${kept} is not kept any more`);
  return { ...since, build, ...(from === undefined ? {} : { from }) };
}

/** Whether a row of columns and `_commit` comes after a position. */
function afterSql(key: readonly Column[], { commit, key: values }: ChangePosition): string {
  if (values === undefined) return `_commit > ${commit}`;
  if (values.length !== key.length)
    throw new WeirError("invalid_usage", "The position is not one of this table.");
  let later = "FALSE";
  for (const [i, { name, type }] of [...key.entries()].toReversed()) {
    const value = values[i] ?? null;
    const column = ident(name);
    const literal = value === null ? undefined : `${text(value)}::${type.toString()}`;
    // NULLS FIRST.
    const greater =
      literal === undefined ? `${column} IS NOT NULL` : `coalesce(${column} > ${literal}, FALSE)`;
    const equal = literal === undefined ? `${column} IS NULL` : `coalesce(${column} = ${literal}, FALSE)`;
    later = `(${greater} OR (${equal} AND ${later}))`;
  }
  return `(_commit > ${commit} OR (_commit = ${commit} AND ${later}))`;
}
