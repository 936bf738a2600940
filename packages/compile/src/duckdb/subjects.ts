import type { SubjectField } from "../privacy.ts";
import type { FieldType } from "../field-type.ts";
import { ident, text } from "../sql.ts";
import { sqlType } from "./leaf.ts";

/** A field that names persons, found in its contract. */
export interface SubjectPath {
  readonly contract: string;
  readonly kind: string;
  /** Names from the record's top level inward. */
  readonly path: readonly string[];
  readonly type: FieldType;
  /** Of a captured source: the stream of the rows that have it. */
  readonly stream?: string;
  /** Whether its tag is `subject`. */
  readonly isSubject: boolean;
}

/** The value as those are compared that mean the same: addresses of mail are, whatever the case. */
export const sameValue = (kind: string, value: string): string =>
  kind === "email" ? `lower(trim(${value}))` : value;

const jsonPath = (path: readonly string[]): string =>
  text(`$${path.map((name) => `.${JSON.stringify(name)}`).join("")}`);

export function subjectField({ contract, kind, path, type, stream, isSubject }: SubjectPath): SubjectField {
  const inText = `json_extract_string(r.text, ${jsonPath(path)})`;
  if (stream !== undefined) {
    const [row = "", ...columns] = path;
    const ofStream = (of: string, value: string): string =>
      `CASE WHEN ${of} = ${text(stream)} THEN ${sameValue(kind, value)} END`;
    return {
      contract,
      kind,
      isSubject,
      ofRow: ofStream("r.stream", `json_extract_string(r.${ident(row)}, ${jsonPath(columns)})`),
      ofText: ofStream("json_extract_string(r.text, '$.stream')", inText),
    };
  }
  // The same number may be written in several ways.
  const typed = type.kind === "string" ? inText : `TRY_CAST(${inText} AS ${sqlType(type)})::VARCHAR`;
  return {
    contract,
    kind,
    isSubject,
    ofRow: sameValue(kind, `r.${path.map(ident).join(".")}::VARCHAR`),
    ofText: sameValue(kind, typed),
  };
}
