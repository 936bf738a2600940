import { chmodSync, existsSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { text } from "@weir/compile";
import { WeirError } from "@weir/contract";
import { failpoint } from "@weir/log";
import type { Sql } from "../database.ts";
import { makeDirectory, syncPath } from "../durable.ts";
import { engineError } from "../engine-error.ts";
import { attachState } from "../state-file.ts";

/** The name under which the vault is attached. Queries of users cannot name it (see query-reach.ts). */
export const vaultCatalog = "weir_vault";
export const vaultTable = (name: string): string => `${vaultCatalog}.main.${name}`;

/**
 *   tokens      a value's token: `id`, kind, the value's keyed hash (128 bits), the token's text; `write`: by which write it came
 *   forms       of addresses that are not in the form in which they are compared (see `sameValue`): the hash of that form, by the token's id
 *   subjects    keys of subjects, wrapped: `id` is that of the subject's own token
 *   ciphers     a value as a subject has it: under the subject's key
 *   sealing     keys of whole texts, one a day, wrapped
 *   index_runs  see vault-index.ts
 *   salts       eight random bytes, for the ids from `from_id` to the next: each start has its own, so that a vault that was restored from a
 *               copy gives no token again that records have from after the copy
 *   meta        `layout`; `key`, the vault's own key as the master key wrapped it (base64); `rewrite` while the file still
 *               holds bytes of what was destroyed; `next_id`: no lower id is given any more; `numbered_from`: of lower ids the token's
 *               text is in `tokens` alone
 */
const statements = [
  `CREATE TABLE IF NOT EXISTS ${vaultTable("meta")} (key VARCHAR PRIMARY KEY, value VARCHAR)`,
  `CREATE TABLE IF NOT EXISTS ${vaultTable("tokens")} (id BIGINT, kind VARCHAR, h0 UBIGINT, h1 UBIGINT, token VARCHAR, write BIGINT)`,
  `CREATE TABLE IF NOT EXISTS ${vaultTable("forms")} (token BIGINT, h0 UBIGINT, h1 UBIGINT)`,
  `CREATE TABLE IF NOT EXISTS ${vaultTable("subjects")} (id BIGINT, wrapped BLOB)`,
  `CREATE TABLE IF NOT EXISTS ${vaultTable("ciphers")} (token BIGINT, subject BIGINT, sealed BLOB, write BIGINT)`,
  `CREATE TABLE IF NOT EXISTS ${vaultTable("sealing")} (id BIGINT, day VARCHAR, wrapped BLOB)`,
  `CREATE TABLE IF NOT EXISTS ${vaultTable("index_runs")} (path VARCHAR, entries UBIGINT, seq UBIGINT, reach BIGINT)`,
  `CREATE TABLE IF NOT EXISTS ${vaultTable("salts")} (from_id BIGINT, salt BLOB)`,
  `INSERT INTO ${vaultTable("meta")} VALUES ('numbered_from', '1') ON CONFLICT DO NOTHING`,
];
const layout = "2";
/** From layout 1: texts of tokens were random, and there was no index. */
const upgrade = `BEGIN;
  ALTER TABLE ${vaultTable("tokens")} ADD COLUMN write BIGINT DEFAULT 1;
  ALTER TABLE ${vaultTable("ciphers")} ADD COLUMN write BIGINT DEFAULT 1;
  INSERT INTO ${vaultTable("meta")} SELECT 'numbered_from', (coalesce(max(id), 0) + 1)::VARCHAR FROM ${vaultTable("tokens")};
  UPDATE ${vaultTable("meta")} SET value = '${layout}' WHERE key = 'layout';
  COMMIT`;

/** Where the runs of the vault's index are. */
export const indexDirectory = (path: string): string => join(dirname(path), "index");

export const vaultPath = (dataDir: string): string => join(dataDir, "vault", "vault.duckdb");

/**
 * Attaches the vault's file, and creates it if there is none.
 *
 * @throws WeirError `vault_unreadable`
 */
export async function attachVault(sql: Sql, path: string): Promise<void> {
  try {
    makeDirectory(dirname(path));
    chmodSync(dirname(path), 0o700);
    removeLeftovers(path);
    await attachState(sql.connection, path, vaultCatalog);
    const [meta] = statements;
    if (meta !== undefined) await sql.run(meta);
    if ((await layoutOf(sql)) === "1") await sql.run(upgrade);
    for (const statement of statements) await sql.run(statement);
    await sql.run(`INSERT INTO ${vaultTable("meta")} VALUES ('layout', '${layout}') ON CONFLICT DO NOTHING`);
  } catch (error) {
    throw engineError(error, "vault_unreadable", path);
  }
  const found = await layoutOf(sql);
  if (found === layout) return;
  throw new WeirError("vault_unreadable", `The vault has layout ${found}; this Weir needs ${layout}.`, {
    where: path,
  });
}

async function layoutOf(sql: Sql): Promise<string | undefined> {
  return await metaOf(sql, "layout");
}

export async function metaOf(sql: Sql, key: string): Promise<string | undefined> {
  const [found] = await sql.rows<{ value: string }>(
    `SELECT value FROM ${vaultTable("meta")} WHERE key = ${text(key)}`,
  );
  return found?.value;
}

/** The draft of a rewrite that a crash ended: the file itself is whole. */
function removeLeftovers(path: string): void {
  for (const name of readdirSync(dirname(path)))
    if (name.startsWith("vault.duckdb.new")) rmSync(join(dirname(path), name));
}

/**
 * Writes the vault anew, so that the file holds nothing of what was deleted, and puts it in the old one's place.
 *
 * Nobody may use the vault meanwhile. Crash points: until the rename the old file is whole, and `meta` says that a
 * rewrite is due (see {@link isRewriteDue}); after it the new one is. The old file has no WAL any more when it is
 * replaced, which DuckDB would otherwise apply to the new one.
 */
export async function rewriteVault(sql: Sql, path: string): Promise<void> {
  const aside = `${path}.new`;
  rmSync(aside, { force: true });
  rmSync(`${aside}.wal`, { force: true });
  await sql.run(`ATTACH ${text(aside)} AS weir_vault_new`);
  await sql.run(`COPY FROM DATABASE ${vaultCatalog} TO weir_vault_new`);
  await sql.run("DELETE FROM weir_vault_new.main.meta WHERE key = 'rewrite'");
  await sql.run("CHECKPOINT weir_vault_new");
  await sql.run("DETACH weir_vault_new");
  syncPath(aside);
  failpoint("engine.vault.rewritten");
  await sql.run(`CHECKPOINT ${vaultCatalog}`);
  await sql.run(`DETACH ${vaultCatalog}`);
  rmSync(`${path}.wal`, { force: true });
  renameSync(aside, path);
  syncPath(dirname(path));
  failpoint("engine.vault.replaced");
  await sql.run(`ATTACH ${text(path)} AS ${vaultCatalog}`);
}

export async function isRewriteDue(sql: Sql): Promise<boolean> {
  const found = await sql.rows(`SELECT 1 AS due FROM ${vaultTable("meta")} WHERE key = 'rewrite'`);
  return found.length > 0;
}

export const vaultExists = (dataDir: string): boolean => existsSync(vaultPath(dataDir));

/** A BLOB of a result. */
export function bytesOf(value: unknown): Uint8Array {
  return (value as { readonly bytes: Uint8Array }).bytes;
}
