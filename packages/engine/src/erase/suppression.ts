import type { ContractProgram, Program, SubjectField } from "@weir/compile";
import { ident, text } from "@weir/compile";
import type { Sql } from "../database.ts";
import { idHash, wordHash } from "./schema.ts";
import { bytesText, declaredWords, isLookedForSql, wordsOf } from "./words.ts";

/**
 * Keeps records of erased persons out. Of a batch, `suppressed_lines` has those whose fields have an erased identifier, and of
 * those that no contract took, the ones whose text has one; they are taken out of `lines` and of the contracts' rows before
 * anything is written of them.
 */
export class Suppression {
  readonly #program: Program;
  /** See `declaredWords`. */
  readonly declared: ReadonlySet<string>;
  #fields: readonly SubjectField[];
  #active = false;
  #changes = 0;

  constructor(program: Program) {
    this.#program = program;
    this.declared = declaredWords(program);
    this.#fields = program.subjects;
  }

  /** By which records are known: those of the program, and those that it declared when somebody was erased. */
  get fields(): readonly SubjectField[] {
    return this.#fields;
  }

  /** Whether there is anybody to keep out. */
  get active(): boolean {
    return this.#active;
  }

  /** Changes when somebody was added: what was staged before may have records of theirs. */
  get changes(): number {
    return this.#changes;
  }

  /** Somebody was added. */
  added(): void {
    this.#active = true;
    this.#changes++;
  }

  /** Takes over what is committed. */
  async read(sql: Sql): Promise<void> {
    const rows = await sql.rows("SELECT 1 AS one FROM db.privacy.suppressed LIMIT 1");
    this.#active = rows.length > 0;
    const before = await sql.rows<{ contract: string; kind: string; ofRow: string; ofText: string }>(
      'SELECT DISTINCT contract, kind, of_row AS "ofRow", of_text AS "ofText" FROM db.privacy.fields ORDER BY ALL',
    );
    const fields = [...this.#program.subjects];
    for (const field of before) {
      if (
        fields.some(
          (one) => one.ofRow === field.ofRow && one.kind === field.kind && one.contract === field.contract,
        )
      )
        continue;
      if (await hasField(sql, this.#program, field)) fields.push({ ...field, isSubject: false });
    }
    this.#fields = fields;
  }
}

/** Whether a contract has the field still. */
async function hasField(
  sql: Sql,
  { contracts }: Program,
  { contract: name, ofRow }: Pick<SubjectField, "contract" | "ofRow">,
): Promise<boolean> {
  const contract = contracts.find((one) => one.contract.name === name);
  if (contract === undefined) return false;
  return await sql.run(`SELECT ${ofRow} FROM (${contract.emptyClean}) r`).then(
    () => true,
    () => false,
  );
}

/** Remembers the fields that name persons, within the transaction that erases one. */
export async function rememberFields(sql: Sql, { subjects }: Program): Promise<void> {
  const rows = subjects.map(
    ({ contract, kind, ofRow, ofText }) =>
      `(${text(contract)}, ${text(kind)}, ${text(ofRow)}, ${text(ofText)})`,
  );
  if (rows.length === 0) return;
  await sql.run(
    `INSERT INTO db.privacy.fields SELECT * FROM (VALUES ${rows.join(", ")}) v EXCEPT SELECT * FROM db.privacy.fields`,
  );
}

const anyOf = (fields: readonly SubjectField[], of: "ofRow" | "ofText"): string =>
  fields
    .map((field) => `${idHash(text(field.kind), field[of])} IN (SELECT id FROM db.privacy.suppressed)`)
    .join(" OR ");

/** Nobody is kept out. */
export const noSuppressed = `CREATE TABLE suppressed_lines (_key BIGINT);
  CREATE TABLE suppressed_counts (source VARCHAR, contract VARCHAR, records DOUBLE)`;

/**
 * Takes the records of erased persons out of a batch whose contracts' rows, and `rejects`, there are.
 *
 * @param unknown how what no contract takes is counted
 */
export async function suppress(
  sql: Sql,
  { fields, declared }: Suppression,
  contracts: readonly ContractProgram[],
  unknown: string,
): Promise<void> {
  for (const contract of contracts) await suppressRecords(sql, fields, contract);
  await suppressLines(sql, declared, unknown);
}

/** Adds the records of a contract. */
async function suppressRecords(
  sql: Sql,
  subjects: readonly SubjectField[],
  { contract: { name } }: ContractProgram,
): Promise<void> {
  const fields = subjects.filter((field) => field.contract === name);
  if (fields.length === 0) return;
  const rows = ident(`rows_${name}`);
  await sql.run(`INSERT INTO suppressed_lines SELECT r._key FROM ${rows} r WHERE r._ok AND coalesce(${anyOf(fields, "ofRow")}, FALSE);
    INSERT INTO suppressed_lines SELECT r._key FROM lines r JOIN rejects j ON j._key = r._key
      WHERE j.contract = ${text(name)} AND coalesce(${anyOf(fields, "ofText")}, FALSE);
    DELETE FROM ${rows} WHERE _key IN (SELECT _key FROM suppressed_lines)`);
}

/** Adds what no contract took, and takes all of it out of `lines`. `suppressed_counts` then has the numbers by source and contract. */
async function suppressLines(sql: Sql, declared: ReadonlySet<string>, unknown: string): Promise<void> {
  const failed = `SELECT l._key, CASE WHEN l.error IS NULL THEN l.text ELSE ${bytesText("l.text")} END AS t FROM lines l
    LEFT JOIN routes r ON l.error IS NULL AND r.seg = l.seg AND r.sent IS NOT DISTINCT FROM l.contract
    WHERE l.error IS NOT NULL OR r.reason IS NOT NULL OR l._key IN (SELECT _key FROM rejects)`;
  await sql.run(`INSERT INTO suppressed_lines
    SELECT _key FROM (SELECT _key, unnest(${wordsOf("t")}) AS word FROM (${failed}))
    WHERE ${isLookedForSql("word", declared)} AND ${wordHash("word")} IN (SELECT word FROM db.privacy.suppressed WHERE word IS NOT NULL);
    INSERT INTO suppressed_counts
    SELECT s.source, coalesce(r.contract, ${text(unknown)}) AS contract, count(*)::DOUBLE AS records
    FROM lines l JOIN segments s USING (seg)
    LEFT JOIN routes r ON l.error IS NULL AND r.seg = l.seg AND r.sent IS NOT DISTINCT FROM l.contract
    WHERE l._key IN (SELECT _key FROM suppressed_lines) GROUP BY ALL;
    DELETE FROM lines WHERE _key IN (SELECT _key FROM suppressed_lines)`);
}
