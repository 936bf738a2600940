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
  const list = paths.map((path) => text(lake.path(path))).join(", ");
  const columns = contract.columns.map(({ name, type }) => `${ident(name)}::${type} AS ${ident(name)}`);
  // Files of another version of the contract may lack columns: the empty query brings them all.
  return `SELECT ${columns.join(", ")} FROM (
    SELECT * FROM (${contract.emptyClean}) UNION ALL BY NAME
    SELECT * FROM read_parquet([${list}], union_by_name = true, hive_partitioning = false)
  ) c WHERE ${notSuperseded(contract)}`;
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
