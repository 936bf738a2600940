import type { ContractProgram } from "@weir/compile";
import { ident, text } from "@weir/compile";
import type { Sql } from "./database.ts";
import type { Lake } from "./lake.ts";

/**
 * The clean zone of a contract as a query: every file of the manifest, less the superseded records. Reads the
 * manifest as the connection's transaction sees it.
 *
 * @param files paths relative to the lake; all of the manifest when not given
 */
export async function cleanHistory(
  sql: Sql,
  lake: Lake,
  contract: ContractProgram,
  files?: readonly string[],
): Promise<string> {
  const paths = files ?? (await manifestPaths(sql, "clean", contract.contract.name));
  if (paths.length === 0) return contract.emptyClean;
  return `${cleanRows(lake, contract, paths)} WHERE ${notSuperseded(contract)}`;
}

/**
 * Records of a contract that another one took the place of in the commits after `after` and up to `upTo`, as the clean zone still
 * has them.
 */
export async function takenBackSince(
  sql: Sql,
  lake: Lake,
  contract: ContractProgram,
  after: number,
  upTo: number,
): Promise<string> {
  const { name } = contract.contract;
  const since = `SELECT 1 FROM db.weir.superseded x WHERE x.contract = ${text(name)} AND x."commit" > ${after} AND x."commit" <= ${upTo}`;
  const paths = await manifestPaths(sql, "clean", name);
  if (paths.length === 0 || (await sql.rows(`${since} LIMIT 1`)).length === 0) return contract.emptyClean;
  return `SELECT * FROM (${cleanRows(lake, contract, paths)}) c WHERE EXISTS (${since} AND x.source = c._source
    AND x.writer = c._writer AND x.number = c._number AND x.line = c._line)`;
}

/** Rows of clean files in the columns of today, as `c`. */
export function cleanRows(lake: Lake, contract: ContractProgram, paths: readonly string[]): string {
  const list = paths.map((path) => text(lake.path(path))).join(", ");
  const columns = contract.columns.map(({ name, type }) => `${ident(name)}::${type} AS ${ident(name)}`);
  // Files of another version of the contract may lack columns: the empty query brings them all.
  return `SELECT ${columns.join(", ")} FROM (
    SELECT * FROM (${contract.emptyClean}) UNION ALL BY NAME
    SELECT * FROM read_parquet([${list}], union_by_name = true, hive_partitioning = false)
  ) c`;
}

/**
 * The condition on rows `c` of the clean zone that no other record took their place. By position, as the same record may
 * have been loaded again since, once its id was forgotten.
 */
export const notSuperseded = ({ contract }: ContractProgram): string => `NOT EXISTS (
    SELECT 1 FROM db.weir.superseded x WHERE x.contract = ${text(contract.name)} AND x.source = c._source
    AND x.writer = c._writer AND x.number = c._number AND x.line = c._line)`;

/** Files of the manifest, oldest commit first. */
export async function manifestPaths(sql: Sql, zone: string, name: string): Promise<string[]> {
  const rows = await sql.rows<{ path: string }>(
    `SELECT path FROM db.weir.files WHERE zone = ${text(zone)} AND name = ${text(name)} ORDER BY "commit", path`,
  );
  return rows.map(({ path }) => path);
}
