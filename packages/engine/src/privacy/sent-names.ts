import { text } from "@weir/compile";
import type { Sql } from "../database.ts";
import { maskText, mayHold } from "./detect.ts";

/**
 * Masks addresses and card numbers in the names that records were sent under, where these are no contract's: the raw zone and the
 * quarantine keep such names. Before records are routed by them, so that each name is one thing everywhere.
 *
 * @param reasonOf why no contract of a source takes records of this name; undefined where one does
 */
export async function maskSentNames(
  sql: Sql,
  reasonOf: (source: string, name: string) => string | undefined,
): Promise<void> {
  const sent = await sql.rows<{ source: string; name: string }>(
    `SELECT source, name FROM (SELECT DISTINCT s.source, l.contract AS name FROM lines l JOIN segments s USING (seg))
     WHERE ${mayHold("name")}`,
  );
  for (const { source, name } of sent) {
    const reason = reasonOf(source, name);
    if (reason === undefined) continue;
    // Of NAME@VERSION the name is a contract's, and what follows may look like the rest of an address.
    const at = reason === "unknown_version" ? name.indexOf("@") + 1 : 0;
    const kept = `${name.slice(0, at)}${maskText(name.slice(at))}`;
    if (kept === name) continue;
    await sql.run(`UPDATE lines SET contract = ${text(kept)} WHERE contract = ${text(name)}
      AND seg IN (SELECT seg FROM segments WHERE source = ${text(source)})`);
  }
}
