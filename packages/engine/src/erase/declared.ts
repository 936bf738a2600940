import type { Program } from "@weir/compile";
import { text } from "@weir/compile";
import type { Sql } from "../database.ts";

/**
 * The program with the fields that named persons in contracts which it does not declare any more: the lake has records of these,
 * and an erasure looks at them as well. Of each contract the state keeps the fields of the last program that declared it.
 */
export async function withDeclaredBefore(sql: Sql, program: Program): Promise<Program> {
  const names = program.contracts.map(({ contract }) => text(contract.name)).join(", ") || "NULL";
  const values = program.subjects.map(
    ({ contract, kind, isSubject, ofRow, ofText }) =>
      `(${text(contract)}, ${text(kind)}, ${isSubject}, ${text(ofRow)}, ${text(ofText)})`,
  );
  await sql.run(`BEGIN;
    DELETE FROM db.privacy.declared WHERE contract IN (${names});
    ${values.length === 0 ? "" : `INSERT INTO db.privacy.declared VALUES ${values.join(", ")};`}
    COMMIT`);
  const before = await sql.rows<{
    contract: string;
    kind: string;
    isSubject: boolean;
    ofRow: string;
    ofText: string;
  }>(`SELECT contract, kind, is_subject AS "isSubject", of_row AS "ofRow", of_text AS "ofText" FROM db.privacy.declared
      WHERE contract NOT IN (SELECT unnest([${names}])) ORDER BY ALL`);
  return before.length === 0 ? program : { ...program, subjects: [...program.subjects, ...before] };
}
