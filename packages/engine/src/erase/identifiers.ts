import type { Program } from "@weir/compile";
import { ident, sameValue, text } from "@weir/compile";
import { WeirError } from "@weir/contract";
import type { Sql } from "../database.ts";
import type { Vault } from "../privacy/vault.ts";
import { addVaultIds, lookIntoVault } from "./vault-ids.ts";

/** Something that names a person. */
export interface Identifier {
  /** The kind, as the project names it: `email`, `user_id`. Undefined: the value of any kind. */
  readonly kind?: string;
  readonly value: string;
}

/** An identifier of the person, and how it was found. */
export interface FoundIdentifier extends Record<string, string> {
  kind: string;
  value: string;
  /** `request`, or the identity table that joins it to one found before. */
  via: string;
}

/** More are not followed, whatever the limits: such a person is an accident. */
export const mostIdentifiers = 100_000;

/** The kinds of identifiers that the program's records have, in order. */
export const kindsOf = (program: Program): string[] => [
  ...new Set(program.subjects.map(({ kind }) => kind).toSorted()),
];

/** Rows of `erase_ids` of a kind, compared as `sameValue` says. */
const sameId = `CASE WHEN id_kind = 'email' THEN ${sameValue("email", "id")} ELSE id END`;
const tokenIn = (value: string): string =>
  `CASE WHEN regexp_full_match(${value}, '(?:tok_[a-z]+|sub)_[A-Za-z0-9_-]{22}') THEN ${value} END`;

/**
 * Leaves `erase_ids(kind, value, via, token, looked)` on the connection: the identifiers asked for, and all that identity tables and the
 * vault join to them. Where a token of the vault stands for one in the records, it is there too, with the token as it is in `token`.
 *
 * @returns those that are no tokens
 * @throws WeirError `erasure_invalid`, `erasure_too_large`
 */
export async function resolveIdentifiers(
  sql: Sql,
  program: Program,
  asked: readonly Identifier[],
  vault: Vault | undefined,
): Promise<FoundIdentifier[]> {
  await sql.run(
    "CREATE OR REPLACE TEMP TABLE erase_ids (kind VARCHAR, value VARCHAR, via VARCHAR, token VARCHAR, looked BOOLEAN)",
  );
  const named = namedIdentifiers(program, asked);
  const rows = named.map(
    ({ kind, value }) => `(${text(kind)}, ${sameValue(kind, text(value))}, 'request', NULL::VARCHAR, FALSE)`,
  );
  await sql.run(`INSERT INTO erase_ids SELECT DISTINCT * FROM (VALUES ${rows.join(", ")})`);
  // The vault knows values as they were sent.
  if (vault !== undefined) await addVaultIds(sql, program, vault, named);
  const tables = program.tables.filter(({ kind }) => kind === "identity");
  for (let before = 0, now = await countIds(sql); now > before;) {
    for (const { name } of tables) {
      const people = `db.main.${ident(name)}`;
      await sql.run(`INSERT INTO erase_ids SELECT DISTINCT id_kind, ${sameId}, ${text(name)}, ${tokenIn("id")}, FALSE FROM ${people} WHERE person IN (
          SELECT p.person FROM (SELECT id_kind, ${sameId} AS id, person FROM ${people}) p
          JOIN erase_ids e ON e.kind = p.id_kind AND e.value = p.id)
        AND NOT EXISTS (SELECT 1 FROM erase_ids e WHERE e.kind = id_kind AND e.value = ${sameId})`);
    }
    if (vault !== undefined) await lookIntoVault(sql, program, vault);
    before = now;
    now = await countIds(sql);
    if (now > mostIdentifiers) {
      throw new WeirError(
        "erasure_too_large",
        `The identifiers lead to ${now} others: identity takes many persons for one.`,
        { remedy: "Correct the identity table: give the value that joins them to its `ignore`." },
      );
    }
  }
  return await sql.rows<FoundIdentifier>(
    "SELECT kind, value, via FROM erase_ids WHERE token IS NULL ORDER BY via <> 'request', via, kind, value",
  );
}

async function countIds(sql: Sql): Promise<number> {
  const { n } = await sql.row<{ n: number }>("SELECT count(*)::DOUBLE AS n FROM erase_ids");
  return n;
}

/** @throws WeirError `erasure_invalid` */
function namedIdentifiers(
  program: Program,
  asked: readonly Identifier[],
): { readonly kind: string; readonly value: string }[] {
  const kinds = kindsOf(program);
  const invalid = (message: string): WeirError =>
    new WeirError("erasure_invalid", message, {
      remedy:
        kinds.length === 0
          ? "No field names a person yet: list them in privacy.subjects of the project, or declare an identity table."
          : `The kinds of identifiers are ${kinds.join(", ")}.`,
    });
  if (kinds.length === 0) throw invalid("The project does not say which fields name a person.");
  if (asked.length === 0) throw invalid("No identifier is given.");
  return asked.flatMap(({ kind, value }) => {
    if (value.trim() === "" || value.includes("\0")) throw invalid("An identifier has no value.");
    if (kind === undefined) return kinds.map((one) => ({ kind: one, value }));
    if (!kinds.includes(kind)) throw invalid(`There is no identifier of the kind "${kind}".`);
    return [{ kind, value }];
  });
}
