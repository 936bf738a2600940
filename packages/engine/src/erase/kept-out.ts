import { text } from "@weir/compile";
import type { Sql } from "../database.ts";
import { manifestPaths } from "../history.ts";
import type { Lake } from "../lake.ts";
import { RewrittenFiles } from "./files.ts";

/**
 * Files of the raw zone without the records in `suppressed_lines`, for a task that judges stored records again: raw has them from when they
 * were received, and nobody could know then whose they are. They count once a commit lists them in the place of those that they
 * replace; a crash leaves them for the next start's sweep.
 *
 * @param sql with the batch's `segments` and `suppressed_lines`
 * @returns with the number of rows that are left out
 */
export async function rawWithoutSuppressed(
  sql: Sql,
  lake: Lake,
): Promise<{ readonly files: RewrittenFiles; readonly rows: number }> {
  await sql.run(`CREATE OR REPLACE TABLE erase_found (zone VARCHAR, name VARCHAR, path VARCHAR, contract VARCHAR,
    source VARCHAR, writer VARCHAR, number UBIGINT, line UINTEGER)`);
  const sources = await sql.rows<{ source: string }>(
    "SELECT DISTINCT source FROM suppressed_lines JOIN segments ON seg = (_key >> 32) ORDER BY 1",
  );
  for (const { source } of sources) {
    const paths = await manifestPaths(sql, "raw", source);
    if (paths.length === 0) continue;
    await sql.run(`INSERT INTO erase_found
      SELECT 'raw', ${text(source)}, substr(r.filename, ${lake.root.length + 2}), NULL, ${text(source)}, r.writer, r.number, r.line
      FROM read_parquet([${paths.map((path) => text(lake.path(path))).join(", ")}], union_by_name = true, hive_partitioning = false, filename = true) r
      SEMI JOIN (SELECT writer, number, (_key & 4294967295)::UINTEGER AS line FROM suppressed_lines JOIN segments ON seg = (_key >> 32)
        WHERE source = ${text(source)}) s USING (writer, number, line)`);
  }
  const files = new RewrittenFiles(sql, lake);
  await files.write();
  const { rows } = await sql.row<{ rows: number }>('SELECT count(*)::DOUBLE AS "rows" FROM erase_found');
  return { files, rows };
}
