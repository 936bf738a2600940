import { existsSync } from "node:fs";
import { text } from "@weir/compile";
import { WeirError } from "@weir/contract";
import type { Sql } from "../database.ts";
import type { Lake } from "../lake.ts";
import type { Destroyed } from "../privacy/vault.ts";
import type { Identifier } from "./identifiers.ts";
import type { TakenOut } from "./take-out.ts";

/**
 * How far a request is.
 *
 *   requested   noted, and nothing erased; a restart goes on
 *   refused     it would have reached more than it may; nothing was erased
 *   erased      gone from every table and file that is read. What was replaced is still on disk: see `remaining`
 *   complete    nothing is left on disk
 */
export type ErasureState = "requested" | "refused" | "erased" | "complete";

/** What an erasure did. It has no identifier of the person. */
export interface ErasureEvidence extends TakenOut {
  /** Number of identifiers, by kind and by how they were found. */
  readonly identifiers: readonly { readonly kind: string; readonly via: string; readonly count: number }[];
  /** Of identifiers that are not looked for in texts: too short, or words of the project's own. */
  readonly tooShortForTexts: number;
  /** What was destroyed in the vault: missing where there was nothing in it. */
  readonly vault?: Destroyed;
  /** Why more was erased than the limits allow. */
  readonly allowedBecause: string | null;
}

/** A request to erase a person. Times are ISO 8601, UTC. */
export interface Erasure {
  /** `e<number>`. */
  readonly id: string;
  /** Salted hash of the identifiers that were asked for, hexadecimal. */
  readonly asked: string;
  readonly state: ErasureState;
  readonly receivedAt: string;
  readonly deadlineAt: string;
  /** The commit that erased, and when. */
  readonly commit: number | null;
  readonly erasedAt: string | null;
  /** Since when records of the person are taken again. */
  readonly liftedAt: string | null;
  readonly evidence: ErasureEvidence | null;
  readonly remaining: {
    /** Files of the lake that were replaced and are not removed yet. */
    readonly files: number;
    /** Segments of the log that held records of the person. */
    readonly segments: number;
    /** By when the log's retention has removed them; null where there are none. */
    readonly logUntil: string | null;
    /** Whether the state file still has bytes of what was deleted in it; the next start writes it anew. */
    readonly stateFile: boolean;
  };
}

/** What was asked for. */
export interface ErasureRequest {
  readonly identifiers: readonly Identifier[];
  /** Why it may reach more than the limits allow; they do not count then. */
  readonly allowMany?: string;
}

export interface OpenRequest {
  readonly number: number;
  readonly request: ErasureRequest;
}

interface Row extends Record<string, string | number | boolean | null> {
  number: number;
  asked: string;
  state: string;
  received: string;
  deadline: string;
  commit: number | null;
  lifted: string | null;
  evidence: string | null;
  files: number;
  segments: number;
  at: string | null;
  until: string | null;
  open: boolean;
}

const iso = (column: string): string => `strftime(${column}, '%Y-%m-%dT%H:%M:%S.%gZ')`;

/** Requests, oldest first. @param logRetentionMs how long the log keeps what is loaded */
export async function readErasures(sql: Sql, logRetentionMs: number, where = "TRUE"): Promise<Erasure[]> {
  const rows = await sql.rows<Row>(`
    SELECT number::DOUBLE AS number, asked, state, ${iso("received_at")} AS received, ${iso("deadline_at")} AS deadline,
      "commit"::DOUBLE AS "commit", ${iso("lifted_at")} AS lifted, evidence::VARCHAR AS evidence, request IS NOT NULL AS "open",
      (SELECT count(*) FROM db.privacy.pending p WHERE p.erasure = e.number AND p.path IS NOT NULL)::DOUBLE AS files,
      (SELECT count(*) FROM db.privacy.pending p WHERE p.erasure = e.number AND p.source IS NOT NULL)::DOUBLE AS segments,
      (SELECT ${iso("max(c.committed_at)")} FROM db.weir.commits c WHERE c."commit" = e."commit") AS at,
      (SELECT ${iso(`max(c.committed_at) + to_milliseconds(${logRetentionMs})`)} FROM db.weir.commits c WHERE c."commit" = e."commit") AS "until"
    FROM db.privacy.erasures e WHERE ${where} ORDER BY number`);
  return rows.map((row) => ({
    id: `e${row.number}`,
    asked: row.asked,
    state: row.state as ErasureState,
    receivedAt: row.received,
    deadlineAt: row.deadline,
    commit: row.commit,
    erasedAt: row.at,
    liftedAt: row.lifted,
    evidence: row.evidence === null ? null : (JSON.parse(row.evidence) as ErasureEvidence),
    remaining: {
      files: row.files,
      segments: row.segments,
      logUntil: row.segments === 0 ? null : row.until,
      stateFile: row.open && row.state === "erased",
    },
  }));
}

/** @throws WeirError `not_found` */
export async function readErasure(sql: Sql, logRetentionMs: number, id: string): Promise<Erasure> {
  const [, number] = /^e(\d{1,15})$/.exec(id) ?? [];
  const [found] = number === undefined ? [] : await readErasures(sql, logRetentionMs, `number = ${number}`);
  if (found !== undefined) return found;
  throw new WeirError("not_found", "There is no erasure with this id.", {
    where: id.slice(0, 100),
    remedy: "weir erase list shows them.",
  });
}

/** Requests of which nothing is erased yet. */
export async function openRequests(sql: Sql): Promise<OpenRequest[]> {
  const rows = await sql.rows<{ number: number; request: string }>(
    `SELECT number::DOUBLE AS number, request::VARCHAR AS request FROM db.privacy.erasures WHERE state = 'requested' ORDER BY number`,
  );
  return rows.map(({ number, request }) => ({ number, request: JSON.parse(request) as ErasureRequest }));
}

export async function addRequest(
  sql: Sql,
  request: ErasureRequest,
  asked: string,
  nowMs: number,
  deadlineMs: number,
): Promise<OpenRequest> {
  const { number } = await sql.row<{ number: number }>(
    "SELECT coalesce(max(number), 0)::DOUBLE + 1 AS number FROM db.privacy.erasures",
  );
  await sql.run(`INSERT INTO db.privacy.erasures VALUES (${number}, ${text(asked)}, 'requested', make_timestamp(${nowMs * 1000}),
    make_timestamp(${(nowMs + deadlineMs) * 1000}), NULL, NULL, ${text(JSON.stringify(request))}::JSON, NULL)`);
  return { number, request };
}

/** Forgets the identifiers as well; the next start takes them off the disk. */
export const refuseRequest = (sql: Sql, number: number): Promise<void> =>
  sql.run(`BEGIN;
    UPDATE db.privacy.erasures SET state = 'refused', request = NULL WHERE number = ${number} AND state = 'requested';
    INSERT OR REPLACE INTO db.privacy.meta VALUES ('rewrite', 'due');
    COMMIT`);

/** Within the transaction that erases. */
export async function recordErased(
  sql: Sql,
  number: number,
  commit: number,
  evidence: ErasureEvidence,
  replaced: readonly string[],
): Promise<void> {
  const files = replaced.map(
    (path) => `INSERT INTO db.privacy.pending VALUES (${number}, ${text(path)}, NULL, NULL, NULL);`,
  );
  await sql.run(`UPDATE db.privacy.erasures SET state = 'erased', "commit" = ${commit}, evidence = ${text(JSON.stringify(evidence))}::JSON
      WHERE number = ${number};
    INSERT INTO db.privacy.pending SELECT DISTINCT ${number}, NULL::VARCHAR, source, writer, number FROM erase_found;
    INSERT INTO db.privacy.pending SELECT DISTINCT ${number}, NULL::VARCHAR, NULL::VARCHAR, token, NULL::UBIGINT FROM erase_ids WHERE token IS NOT NULL;
    ${files.join("\n")}
    INSERT OR REPLACE INTO db.privacy.meta VALUES ('rewrite', 'due')`);
}

/**
 * Notes what is not on disk any more, and completes the requests of which nothing is.
 *
 * @param inLog whether the log has a segment still
 * @returns ids of those that are complete now
 */
export async function settlePending(
  sql: Sql,
  lake: Lake,
  inLog: (source: string, writer: string, number: number) => boolean,
): Promise<string[]> {
  const pending = await sql.rows<{
    row: number;
    path: string | null;
    source: string | null;
    writer: string | null;
    number: number | null;
  }>(`SELECT rowid::DOUBLE AS "row", path, source, writer, number::DOUBLE AS number FROM db.privacy.pending
     WHERE path IS NOT NULL OR source IS NOT NULL`);
  const gone = pending.filter(({ path, source, writer, number }) =>
    path === null ? !inLog(source ?? "", writer ?? "", number ?? 0) : !existsSync(lake.path(path)),
  );
  if (gone.length > 0)
    await sql.run(`DELETE FROM db.privacy.pending WHERE rowid IN (${gone.map(({ row }) => row).join(", ")})`);
  const done = `state = 'erased' AND request IS NULL AND number NOT IN (SELECT erasure FROM db.privacy.pending)`;
  const complete = await sql.rows<{ id: string }>(
    `SELECT 'e' || number AS id FROM db.privacy.erasures WHERE ${done}`,
  );
  if (complete.length > 0) await sql.run(`UPDATE db.privacy.erasures SET state = 'complete' WHERE ${done}`);
  return complete.map(({ id }) => id);
}
