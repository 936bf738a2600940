import { WeirError } from "@weir/contract";
import { text } from "@weir/compile";
import type { JsonValue } from "./database.ts";
import type { Queries } from "./query.ts";

export interface QuarantineFilter {
  readonly source?: string;
  readonly contract?: string;
  readonly reason?: string;
  /** Default 100, at most 10,000. */
  readonly limit?: number;
  readonly offset?: number;
}

/** A record that failed, and why. */
export interface QuarantinedRecord {
  /** `<source>/<writer>/<segment number>/<line>`. */
  readonly id: string;
  readonly source: string;
  /** SQL timestamp, UTC. */
  readonly receivedAt: string;
  /** The contract that rejected it; null where none was found. */
  readonly contract: string | null;
  /** The name that it was sent under. */
  readonly sent: string | null;
  readonly reason: string;
  readonly detail: string | null;
  /** Every violation of the contract: pointer, keyword, expected, found. */
  readonly violations: JsonValue;
  /** The record, if it could be read; */
  readonly text: string | null;
  /** otherwise its bytes. */
  readonly base64: string | null;
  /** The commit that took it in; null where an older version did. */
  readonly receivedCommit: number | null;
  /** How often it was judged: by that commit, and since by tasks. */
  readonly attempts: number;
  /** The last task that tried it again. */
  readonly task: number | null;
}

/** The same with the files of the raw zone that may hold it: mostly one. */
export interface QuarantinedPath extends QuarantinedRecord {
  readonly raw: readonly string[];
}

const columns = `id, source, received_at, contract, sent, reason, detail, violations, text, base64, received_commit::VARCHAR,
  coalesce(attempts, 1)::VARCHAR, task::VARCHAR`;

/** The records that failed. */
export class Quarantine {
  readonly #queries: Queries;

  constructor(queries: Queries) {
    this.#queries = queries;
  }

  /** Newest first. @throws WeirError `invalid_usage` */
  async list(filter: QuarantineFilter = {}): Promise<QuarantinedRecord[]> {
    const { source, contract, reason, limit = 100, offset = 0 } = filter;
    for (const [name, value] of Object.entries({ source, contract, reason })) refuseNul(name, value);
    const conditions = [
      ...(source === undefined ? [] : [`source = ${text(source)}`]),
      ...(contract === undefined ? [] : [`(contract = ${text(contract)} OR sent = ${text(contract)})`]),
      ...(reason === undefined ? [] : [`reason = ${text(reason)}`]),
    ];
    const where = conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
    const most = Math.min(Math.max(0, Math.trunc(limit)), 10_000);
    const { rows } = await this.#queries.run(
      `SELECT ${columns} FROM quarantine ${where} ORDER BY received_at DESC, id LIMIT ${most} OFFSET ${Math.max(0, Math.trunc(offset))}`,
    );
    return rows.map(recordOf);
  }

  /** @throws WeirError `not_found`, `invalid_usage` */
  async show(id: string): Promise<QuarantinedPath> {
    refuseNul("id", id);
    const { rows } = await this.#queries.run(`SELECT ${columns} FROM quarantine WHERE id = ${text(id)}`);
    const [row] = rows;
    if (row === undefined) {
      throw new WeirError("not_found", "There is no quarantined record with this id.", {
        where: id,
        remedy: "`weir quarantine list` shows the ids.",
      });
    }
    const record = recordOf(row);
    const files = await this.#queries.run(
      `SELECT path FROM weir.files WHERE zone = 'raw' AND name = ${text(record.source)}
       AND ${text(record.receivedAt)}::TIMESTAMP BETWEEN min_time AND max_time ORDER BY 1`,
    );
    return { ...record, raw: files.rows.map(([path]) => asText(path) ?? "") };
  }

  /** Number of records by source, contract and reason. */
  async summary(): Promise<{ source: string; contract: string | null; reason: string; records: number }[]> {
    const { rows } = await this.#queries.run(
      `SELECT source, coalesce(contract, sent), reason, count(*)::DOUBLE FROM quarantine GROUP BY ALL ORDER BY 4 DESC, 1, 2, 3`,
    );
    return rows.map(([source, contract, reason, records]) => ({
      source: asText(source) ?? "",
      contract: asText(contract),
      reason: asText(reason) ?? "",
      records: Number(records),
    }));
  }
}

/** DuckDB would read the statement up to the NUL only. */
function refuseNul(name: string, value: string | undefined): void {
  if (value?.includes("\0") === true)
    throw new WeirError("invalid_usage", `${name} has a NUL character.`, { where: name });
}

const asText = (value: JsonValue | undefined): string | null => (typeof value === "string" ? value : null);

function recordOf(row: JsonValue[]): QuarantinedRecord {
  const [
    id,
    source,
    receivedAt,
    contract,
    sent,
    reason,
    detail,
    violations,
    body,
    base64,
    commit,
    attempts,
    task,
  ] = row.map(asText);
  const number = (digits: string | null | undefined): number | null =>
    digits === null || digits === undefined ? null : Number(digits);
  return {
    id: id ?? "",
    source: source ?? "",
    receivedAt: receivedAt ?? "",
    contract: contract ?? null,
    sent: sent ?? null,
    reason: reason ?? "",
    detail: detail ?? null,
    violations:
      violations === null || violations === undefined ? null : (JSON.parse(violations) as JsonValue),
    text: body ?? null,
    base64: base64 ?? null,
    receivedCommit: number(commit),
    attempts: number(attempts) ?? 1,
    task: number(task),
  };
}
