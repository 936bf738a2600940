import type { Sql } from "./database.ts";

/** The columns of what is read back from the lake, to be judged again as if it came from the log. */
export const storedColumns = "source, writer, number, line, received_at, sent, error, text";

/**
 * `segments` and `lines` of records that the lake has: of the quarantine, or of the raw zone. The one place where texts are
 * read back, so that whatever the lake holds instead of a text is made one here.
 *
 * @param query rows of {@link storedColumns}, each position once; `text` is minified JSON, or base64 where there is an error
 */
export async function readStored(sql: Sql, query: string): Promise<void> {
  await sql.run(`CREATE TABLE stored AS ${query};
    CREATE TABLE segments AS SELECT (row_number() OVER (ORDER BY source, writer, number) - 1)::UINTEGER AS seg, *
      FROM (SELECT DISTINCT source, writer, number FROM stored);
    CREATE TABLE lines AS SELECT (seg::BIGINT << 32) | line AS _key, seg, line, epoch_us(received_at) AS received,
        sent AS contract, CASE WHEN error IS NULL THEN len(json_keys(text)) ELSE 0 END::INTEGER AS keys, error, text
      FROM stored JOIN segments USING (source, writer, number);
    DROP TABLE stored`);
}
