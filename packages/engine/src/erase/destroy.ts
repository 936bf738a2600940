import { text } from "@weir/compile";
import { failpoint } from "@weir/log";
import type { Sql } from "../database.ts";
import type { Vault } from "../privacy/vault.ts";

/**
 * Destroys what the vault has of persons that were erased: their keys, and with them every value and every sealed text. `pending` has
 * their tokens from the commit that erased them, without a path and a source.
 *
 * Crash points: the vault destroys the same again, which is nothing, if the note that it did is not committed.
 */
export async function destroyPending(
  sql: Sql,
  vault: Vault | undefined,
  exclusive: (step: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const pending = await sql.rows<{ erasure: number; tokens: string[] }>(
    `SELECT erasure::DOUBLE AS erasure, list(writer ORDER BY writer) AS tokens FROM db.privacy.pending
     WHERE path IS NULL AND source IS NULL GROUP BY erasure ORDER BY erasure`,
  );
  for (const { erasure, tokens } of pending) {
    if (vault === undefined) throw new Error("unreachable: there are tokens and no vault");
    const destroyed = await vault.destroySubjects(tokens);
    failpoint("engine.erase.destroyed");
    await exclusive(async () => {
      await sql.run(`BEGIN;
        UPDATE db.privacy.erasures SET evidence = json_merge_patch(evidence, ${text(JSON.stringify({ vault: destroyed }))}::JSON)
          WHERE number = ${erasure};
        DELETE FROM db.privacy.pending WHERE erasure = ${erasure} AND path IS NULL AND source IS NULL;
        COMMIT`);
    });
  }
}
