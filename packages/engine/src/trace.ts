import type { Program } from "@weir/compile";
import { ident, text } from "@weir/compile";
import { WeirError } from "@weir/contract";
import type { Contract } from "@weir/contract";
import { reachedTables } from "./merge.ts";
import type { Queries } from "./query.ts";

/** One arrival of a record: a retry, or a second source, is another. */
export interface Receipt {
  /** `<source>/<writer>/<segment number>/<line>`. */
  readonly position: string;
  /** SQL timestamp, UTC. */
  readonly receivedAt: string;
  /** The name that it was sent under; null once the raw zone does not have it any more. */
  readonly sent: string | null;
  /**
   * `discarded`: it was taken out of the quarantine for good. `superseded`: it was loaded, until one with the same id and an earlier time, or by content the smaller, took its place.
   */
  readonly outcome: "loaded" | "duplicate" | "superseded" | "quarantined" | "discarded";
  /** Why, of one in quarantine or discarded. */
  readonly reason: string | null;
}

/** What became of an id under one contract. */
export interface Traced {
  readonly contract: string;
  /** By time of receipt; the first 1,000. */
  readonly receipts: readonly Receipt[];
  /** Tables that the loaded record is in, or changes through others. */
  readonly tables: readonly { readonly name: string; readonly kind: string }[];
}

const mostReceipts = 1_000;
const timeoutMs = 600_000;

/**
 * Looks an id up in everything that was received and committed, of every contract or of one. Reads the raw zone whole: there is no
 * index of ids that were quarantined or came twice. Records that failed and are sealed (privacy/seal.ts) are not looked into. Of
 * what retention removed from raw, only the record that is loaded is found.
 *
 * @throws WeirError `not_found` for a contract that there is not, `query_timeout`
 */
export async function traceRecord(
  queries: Queries,
  program: Program,
  id: string,
  name: string | undefined,
): Promise<Traced[]> {
  if (id.includes("\0")) throw new WeirError("invalid_usage", "The id has a NUL character.");
  const contracts = program.contracts.filter(({ contract }) => name === undefined || contract.name === name);
  if (contracts.length === 0)
    throw new WeirError("not_found", `There is no contract ${(name ?? "").slice(0, 100)}.`, {
      remedy: `The contracts are ${program.contracts.map(({ contract }) => contract.name).join(", ")}.`,
    });
  const traced: Traced[] = [];
  for (const { contract } of contracts) {
    const { rows } = await queries.run(receiptsQuery(contract, program, id), {
      maxRows: mostReceipts,
      timeoutMs,
    });
    if (rows.length === 0) continue;
    const receipts = rows.map(
      ([position, receivedAt, sent, outcome, reason]) =>
        ({ position, receivedAt, sent, outcome, reason }) as Receipt,
    );
    const isLoaded = receipts.some(({ outcome }) => outcome === "loaded");
    const reached = reachedTables(program, ({ from }) => from.includes(contract.name));
    const tables = isLoaded ? reached.map((table) => ({ name: table.name, kind: table.kind })) : [];
    traced.push({ contract: contract.name, receipts, tables });
  }
  return traced;
}

function receiptsQuery({ name, id: field, aliases }: Contract, program: Program, id: string): string {
  const sources = Object.entries(program.sources).flatMap(([source, names]) =>
    names.includes(name) ? [source] : [],
  );
  const list = (texts: readonly string[]): string => texts.map(text).join(", ");
  // A text without a backslash holds the id as it is, so most are not taken apart. One that is sealed is no JSON.
  const path = `$.${JSON.stringify(field)}`;
  const position = (t: string): string =>
    `${t}.source || '/' || ${t}.writer || '/' || ${t}.number || '/' || ${t}.line`;
  return `WITH receipts AS (
      SELECT ${position("r")} AS position, r.received_at, r.contract AS sent FROM raw r
      WHERE r.source IN (${list(sources)}) AND r.error IS NULL AND split_part(r.contract, '@', 1) IN (${list([name, ...aliases])})
        AND (contains(r.text, ${text(id)}) OR contains(r.text, '\\'))
        AND CASE WHEN starts_with(r.text, '{') THEN json_extract_string(r.text, ${text(path)}) = ${text(id)} ELSE FALSE END
    ), loaded AS (
      SELECT _source || '/' || _writer || '/' || _number || '/' || _line AS position, _received_at AS received_at
      FROM ${ident(name)} WHERE ${ident(field)}::VARCHAR = ${text(id)}
    ), arrivals AS (
      FROM receipts UNION ALL
      SELECT position, received_at, NULL FROM loaded WHERE position NOT IN (SELECT position FROM receipts)
    )
    SELECT p.position, p.received_at::VARCHAR, p.sent,
      CASE WHEN q.id IS NOT NULL THEN 'quarantined' WHEN l.position IS NOT NULL THEN 'loaded'
        WHEN s.position IS NOT NULL THEN 'superseded' WHEN d.position IS NOT NULL THEN 'discarded' ELSE 'duplicate' END,
      coalesce(q.reason, d.why)
    FROM arrivals p LEFT JOIN quarantine q ON q.id = p.position LEFT JOIN loaded l ON l.position = p.position
    LEFT JOIN (SELECT DISTINCT ${position("x")} AS position FROM weir.superseded x WHERE x.contract = ${text(name)}) s ON s.position = p.position
    LEFT JOIN (SELECT ${position("x")} AS position, t.arguments->>'why' AS why FROM weir.discarded x JOIN weir.tasks t ON t.id = x.task) d
      ON d.position = p.position
    ORDER BY p.received_at, p.position`;
}
