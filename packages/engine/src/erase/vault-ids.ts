import type { Program } from "@weir/compile";
import { sameValue, text } from "@weir/compile";
import type { Sql } from "../database.ts";
import type { FoundToken, Vault } from "../privacy/vault.ts";

interface NamedValue {
  readonly kind: string;
  readonly value: string;
}

/**
 * Adds to `erase_ids` what the vault has of values: their tokens, which stand for them in records, and the person whose value it
 * is, where it is one person's alone.
 */
export async function addVaultIds(
  sql: Sql,
  program: Program,
  vault: Vault,
  values: readonly NamedValue[],
): Promise<void> {
  const kinds = new Set(program.subjects.flatMap(({ kind, isSubject }) => (isSubject ? [kind] : [])));
  for (const { kind, value } of values) {
    const found = await vault.findTokens(value);
    for (const { token } of found) await addToken(sql, kind, token);
    const [person, ...others] = personsOf(found);
    // Of several nobody can tell who is meant.
    if (person === undefined || others.length > 0) continue;
    for (const of of kinds) await addToken(sql, of, person);
  }
}

/** Pseudonyms of the persons who have a value, or whose id it is. */
function personsOf(found: readonly FoundToken[]): string[] {
  const all = found.flatMap(({ token, subjects }) => [token, ...subjects]);
  return [...new Set(all.filter((token) => token.startsWith("sub_")))];
}

async function addToken(sql: Sql, kind: string, token: string): Promise<void> {
  await sql.run(`INSERT INTO erase_ids SELECT ${text(kind)}, ${sameValue(kind, text(token))}, 'vault', ${text(token)}, FALSE
    WHERE NOT EXISTS (SELECT 1 FROM erase_ids WHERE kind = ${text(kind)} AND token = ${text(token)})`);
}

/** Adds to `erase_ids` the values behind tokens in it, by which later records are known, and what the vault has of values in it. */
export async function lookIntoVault(sql: Sql, program: Program, vault: Vault): Promise<void> {
  const rows = await sql.rows<{ kind: string; value: string; token: string | null }>(
    "SELECT kind, value, token FROM erase_ids WHERE NOT looked",
  );
  await sql.run("UPDATE erase_ids SET looked = TRUE");
  const values = await vault.reveal(rows.flatMap(({ token }) => token ?? []));
  const plain: NamedValue[] = [];
  for (const { kind, value, token } of rows) {
    const behind = token === null ? value : values.get(token);
    if (behind === undefined) continue;
    plain.push({ kind, value: behind });
    if (token === null) continue;
    await sql.run(`INSERT INTO erase_ids SELECT ${text(kind)}, ${sameValue(kind, text(behind))}, 'vault', NULL, TRUE
      WHERE NOT EXISTS (SELECT 1 FROM erase_ids WHERE kind = ${text(kind)} AND value = ${sameValue(kind, text(behind))})`);
  }
  await addVaultIds(sql, program, vault, plain);
}
