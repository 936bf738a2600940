import { sameValue, text } from "@weir/compile";
import { vaultTable } from "./vault-file.ts";

/**
 * Ids of the tokens that a value has, of one kind or of any: of an address those of all its forms, as the same person is meant.
 *
 * @param hashOf of a kind and a value, both SQL
 */
export function tokenIds(
  hashOf: (kind: string, value: string) => { readonly h0: string; readonly h1: string },
  value: string,
  kind: string | undefined,
): string {
  const tokens = vaultTable("tokens");
  const { h0, h1 } = hashOf("k.kind", text(value));
  const of = kind === undefined ? "" : `WHERE kind = ${text(kind)}`;
  const exact = `SELECT t.id FROM (SELECT DISTINCT kind FROM ${tokens} ${of}) k
    JOIN ${tokens} t ON t.kind = k.kind AND t.h0 = ${h0} AND t.h1 = ${h1}`;
  if (kind !== undefined && kind !== "email") return exact;
  const form = hashOf("'email'", sameValue("email", text(value)));
  const asked = `(SELECT ${form.h0} AS h0, ${form.h1} AS h1)`;
  return `${exact} UNION SELECT t.id FROM ${asked} JOIN ${tokens} t USING (h0, h1) WHERE t.kind = 'email'
    UNION SELECT f.token FROM ${asked} JOIN ${vaultTable("forms")} f USING (h0, h1)`;
}
