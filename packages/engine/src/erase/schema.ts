import { randomBytes } from "node:crypto";
import { text } from "@weir/compile";
import type { Sql } from "../database.ts";

/**
 * What erasures keep in the state file, in a schema that queries cannot name:
 *
 *   meta        the salt of hashes of identifiers
 *   erasures    one row a request. `request` has the identifiers until the state file is written anew, and is NULL from then on;
 *               `evidence` has none
 *   suppressed  hashes of the identifiers that are erased: `id` of kind and value; `word` of the value alone, NULL where
 *               it is too short to be looked for in texts
 *   fields      the fields that named persons when somebody was erased: who is to be kept out is known by these, also once a
 *               project does not declare them any more
 *   declared    the fields that name persons, of each contract as the last program declared it that had it
 *   pending     what of an erasure is still on disk: files that the manifest does not list any more, segments of the log,
 *               and, without path and source, tokens of persons that the vault has still to destroy
 *
 * `weir.left_out` has the number of rows by zone that records were received for and that are not there: erased ones and
 * suppressed ones.
 */
export const eraseSchema = [
  `CREATE SCHEMA IF NOT EXISTS db.privacy`,
  `CREATE TABLE IF NOT EXISTS db.privacy.meta (key VARCHAR PRIMARY KEY, value VARCHAR)`,
  `CREATE TABLE IF NOT EXISTS db.privacy.erasures (number UBIGINT, asked VARCHAR, state VARCHAR, received_at TIMESTAMP,
    deadline_at TIMESTAMP, "commit" UBIGINT, lifted_at TIMESTAMP, request JSON, evidence JSON)`,
  `CREATE TABLE IF NOT EXISTS db.privacy.suppressed (erasure UBIGINT, id UHUGEINT, word UHUGEINT)`,
  `CREATE TABLE IF NOT EXISTS db.privacy.fields (contract VARCHAR, kind VARCHAR, of_row VARCHAR, of_text VARCHAR)`,
  `CREATE TABLE IF NOT EXISTS db.privacy.declared (contract VARCHAR, kind VARCHAR, is_subject BOOLEAN, of_row VARCHAR, of_text VARCHAR)`,
  `CREATE TABLE IF NOT EXISTS db.privacy.pending (erasure UBIGINT, path VARCHAR, source VARCHAR, writer VARCHAR, number UBIGINT)`,
  `CREATE TABLE IF NOT EXISTS db.weir.left_out (zone VARCHAR, "rows" BIGINT)`,
] as const;

/** The salt, made where there is none. */
export async function subjectSalt(sql: Sql): Promise<string> {
  await sql.run(
    `INSERT INTO db.privacy.meta VALUES ('salt', '${randomBytes(16).toString("hex")}') ON CONFLICT DO NOTHING`,
  );
  const { value } = await sql.row<{ value: string }>("SELECT value FROM db.privacy.meta WHERE key = 'salt'");
  return value;
}

/** The hash of an identifier; NULL where the value is. */
export const idHash = (kind: string, value: string): string =>
  `CASE WHEN ${value} IS NOT NULL THEN md5_number(concat(getvariable('weir_subject_salt'), chr(31), ${kind}, chr(31), ${value})) END`;

/** The hash by which a value is known in texts, whatever its kind and case. */
export const wordHash = (value: string): string =>
  `md5_number(concat(getvariable('weir_subject_salt'), chr(30), lower(trim(${value}))))`;

/** Shorter values occur in texts that are about somebody else. */
export const shortestWord = 5;

/** Notes rows of a zone that will not be there. */
export const leaveOut = (zone: string, rows: number): string =>
  `INSERT INTO db.weir.left_out SELECT ${text(zone)}, 0 WHERE NOT EXISTS (SELECT 1 FROM db.weir.left_out WHERE zone = ${text(zone)});
   UPDATE db.weir.left_out SET "rows" = "rows" + ${rows} WHERE zone = ${text(zone)}`;
