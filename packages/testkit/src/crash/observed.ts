/** Whoever answers queries about a project's tables: an engine, or the HTTP API in front of it. */
export interface Asker {
  query(
    sql: string,
    options: { maxRows: number },
  ): Promise<{ rows: readonly unknown[][]; truncated: boolean }>;
}

export interface CleanRow {
  readonly id: string;
  readonly atUs: number;
}

/** What a drained system holds. Records are named by their marks. */
export interface Observed {
  /** How often each record was received, as the raw zone has it. */
  readonly raw: ReadonlyMap<number, number>;
  readonly clean: ReadonlyMap<number, readonly CleanRow[]>;
  readonly quarantined: ReadonlyMap<number, number>;
  readonly counts: Readonly<Record<"received" | "loaded" | "duplicate" | "quarantined", number>>;
  /** Rows of each table, as texts of columns joined by `|`. */
  readonly tables: Readonly<Record<string, readonly string[]>>;
}

const markOf = (text: string): number => {
  const [, digits] = /"mark":(\d+)/.exec(text) ?? [];
  if (digits === undefined) throw new Error(`a record without its mark: ${text.slice(0, 200)}`);
  return Number(digits);
};

/** Reads the reference project's whole state. Throws if an answer is cut off. */
export async function observe(asker: Asker): Promise<Observed> {
  const rows = async (sql: string): Promise<string[][]> => {
    const answer = await asker.query(sql, { maxRows: 2_000_000 });
    if (answer.truncated) throw new Error(`the answer was cut off: ${sql}`);
    return answer.rows.map((row) => row.map(cellText));
  };
  const marks = async (table: string, base64: string): Promise<Map<number, number>> => {
    const found = await rows(
      `SELECT CASE WHEN ${base64} THEN decode(from_base64(text)) ELSE text END FROM (${table})`,
    );
    return tally(found.map(([text = ""]) => markOf(text)));
  };
  const [counts = []] = await rows(
    "SELECT coalesce(sum(received), 0), coalesce(sum(loaded), 0), coalesce(sum(duplicate), 0), coalesce(sum(quarantined), 0) FROM weir.counts",
  );
  const [received = 0, loaded = 0, duplicate = 0, quarantined = 0] = counts.map(Number);
  return {
    raw: await marks("SELECT text, error FROM raw", "error IS NOT NULL"),
    quarantined: await marks(
      "SELECT coalesce(text, base64) AS text, base64 IS NOT NULL AS coded FROM quarantine",
      "coded",
    ),
    clean: cleanRows([
      ...(await rows('SELECT mark, event_id, epoch_us("at") FROM product_viewed')),
      ...(await rows("SELECT mark, order_id, epoch_us(placed_at) FROM order_placed")),
      ...(await rows("SELECT (row->>'mark')::INTEGER, id, epoch_us(\"at\") FROM web")),
    ]),
    counts: { received, loaded, duplicate, quarantined },
    tables: {
      visits: joined(
        await rows(
          "SELECT visitor, epoch_us(session_start), epoch_us(session_end), records, views, value, skus FROM visits",
        ),
      ),
      views: joined(await rows("SELECT sku, epoch_us(window_start), views, value FROM views")),
      stock: joined(await rows("SELECT sku, orders, units FROM stock")),
      articles: joined(await rows(`SELECT ${articleColumns} FROM articles`)),
      articles_history: joined(
        await rows(
          `SELECT ${articleColumns}, _op, epoch_us(valid_from), epoch_us(valid_to) FROM articles_history`,
        ),
      ),
      views_now: joined(await rows("SELECT event_id, order_id FROM views_now")),
      views_then: joined(await rows("SELECT event_id, order_id FROM views_then")),
      demand: joined(await rows("SELECT sku, units, last_order, views FROM demand")),
      last_orders: joined(await rows("SELECT sku, order_id, units FROM last_orders")),
      people: joined(await rows("SELECT id_kind, id, person FROM people")),
      persons: joined(await rows("SELECT person, views, value, skus FROM persons")),
      journeys: joined(
        await rows(
          "SELECT person, epoch_us(session_start), epoch_us(session_end), records, value FROM journeys",
        ),
      ),
    },
  };
}

const articleColumns =
  "id, name, price, state, _extra->>'more', _extra->>'price', _extra->>'mark', " +
  "coalesce(array_to_string(list_sort(_unknown), ' '), ''), _version";

function cellText(value: unknown): string {
  if (value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

const joined = (rows: readonly string[][]): string[] => rows.map((row) => row.join("|"));

function tally(marks: readonly number[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const mark of marks) counts.set(mark, (counts.get(mark) ?? 0) + 1);
  return counts;
}

function cleanRows(rows: readonly string[][]): Map<number, CleanRow[]> {
  const found = new Map<number, CleanRow[]>();
  for (const [mark, id = "", atUs] of rows) {
    const row = { id, atUs: Number(atUs) };
    const others = found.get(Number(mark));
    if (others === undefined) found.set(Number(mark), [row]);
    else others.push(row);
  }
  return found;
}
