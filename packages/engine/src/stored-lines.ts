import type { Staging } from "./privacy/assign.ts";
import type { Vault } from "./privacy/vault.ts";

/** The columns of what is read back from the lake, to be judged again as if it came from the log. */
export const storedColumns = "source, writer, number, line, received_at, sent, error, text";

/**
 * `segments` and `lines` of records that the lake has: of the quarantine, or of the raw zone. The one place where texts are
 * read back, so that whatever the lake holds instead of a text is made one here: what is sealed is opened, and values stand where
 * tokens stood. A record whose values are erased is unreadable then, with the error `erased` and nothing else.
 *
 * @param query rows of {@link storedColumns}, each position once; `text` is minified JSON, or base64 where there is an error
 */
export async function readStored(staging: Staging, vault: Vault | undefined, query: string): Promise<void> {
  const { sql } = staging;
  await sql.run(`CREATE TABLE stored AS SELECT row_number() OVER () AS _row, * FROM (${query})`);
  if (vault !== undefined) await restore(staging, vault);
  await sql.run(`CREATE TABLE segments AS SELECT (row_number() OVER (ORDER BY source, writer, number) - 1)::UINTEGER AS seg, *
      FROM (SELECT DISTINCT source, writer, number FROM stored);
    CREATE TABLE lines AS SELECT (seg::BIGINT << 32) | line AS _key, seg, line, epoch_us(received_at) AS received,
        sent AS contract, CASE WHEN error IS NULL THEN len(json_keys(text)) ELSE 0 END::INTEGER AS keys, error, text
      FROM stored JOIN segments USING (source, writer, number);
    DROP TABLE stored`);
}

/** So many texts at once: they are held twice. */
const textsAtOnce = 20_000;

async function restore({ sql, schema }: Staging, vault: Vault): Promise<void> {
  await sql.run("CREATE TABLE restored (_row BIGINT, text VARCHAR, error VARCHAR)");
  const changed = "starts_with(text, 'sealed:') OR contains(text, ': ') OR contains(error, 'sealed:')";
  const { n } = await sql.row<{ n: number }>(
    `SELECT coalesce(max(_row), 0)::DOUBLE AS n FROM stored WHERE ${changed}`,
  );
  for (let from = 0; from < n; from += textsAtOnce) {
    const rows = await sql.rows<{ row: number; text: string; error: string | null }>(
      `SELECT _row::DOUBLE AS row, text, error FROM stored
       WHERE _row > ${from} AND _row <= ${from + textsAtOnce} AND (${changed})`,
    );
    const texts = await vault.restoreTexts(rows.map(({ text }) => text));
    const details = await vault.unseal(rows.map(({ error }) => detailOf(error)));
    const appender = await sql.connection.createAppender("restored", schema, "memory");
    for (const [i, { row, error }] of rows.entries()) {
      const text = texts[i];
      appender.appendBigInt(BigInt(row));
      appender.appendVarchar(text ?? "");
      const told = text === undefined ? "erased" : withDetail(error, details[i]);
      if (told === null) appender.appendNull();
      else appender.appendVarchar(told);
      appender.endRow();
    }
    appender.closeSync();
  }
  await sql.run(`UPDATE stored SET text = r.text, error = r.error FROM restored r WHERE r._row = stored._row;
    DROP TABLE restored`);
}

const separator = ": ";

const detailOf = (error: string | null): string => {
  const at = error?.indexOf(separator) ?? -1;
  return error === null || at < 0 ? "" : error.slice(at + separator.length);
};

const withDetail = (error: string | null, detail: string | undefined): string | null => {
  const at = error?.indexOf(separator) ?? -1;
  return error === null || at < 0 ? error : `${error.slice(0, at + separator.length)}${detail ?? ""}`;
};
