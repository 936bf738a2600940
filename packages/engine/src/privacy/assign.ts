import { sameValue } from "@weir/compile";
import { failpoint } from "@weir/log";
import type { Sql } from "../database.ts";
import { eachRow, numberColumns, turn } from "../each-row.ts";
import { encrypt } from "./cipher.ts";
import { Vault } from "./vault.ts";
import { vaultTable } from "./vault-file.ts";
import { hashWords, wordsAt } from "./vault-index.ts";
import type { NewEntries } from "./vault-index.ts";

/** The kind of a subject's pseudonym. */
export const subjectKind = "subject";

const none = new Float64Array(0);
const noWords = new Uint32Array(0);
/** Values between two looks at what else waits. */
const valuesAtOnce = 1_000;

/** A batch's connection, and its schema in the in-memory database, which is first in the search path. */
export interface Staging {
  readonly sql: Sql;
  readonly schema: string;
}

/**
 * Gives every value of a batch its token.
 *
 * Reads `pii_wanted(kind, value, subject)`: values and whose they are, as text; `subject` is NULL where a record names none. Leaves
 * `pii_map(kind, value, h0, h1, id, token)`, which has the subjects too, under the kind `subject`.
 *
 * Whether a value is known is asked of the vault's index; the tables of the vault are read only for the keys of persons who are known and
 * have something new. When this resolves, all of it is durable in the vault.
 */
export async function assignTokens(staging: Staging, vault: Vault): Promise<void> {
  const { sql } = staging;
  const { h0, h1 } = Vault.hashOf("kind", "value");
  await sql.run(`CREATE TABLE pii_values AS SELECT kind, value, ${h0} AS h0, ${h1} AS h1 FROM (
      SELECT DISTINCT kind, value FROM pii_wanted
      UNION SELECT DISTINCT '${subjectKind}', subject FROM pii_wanted WHERE subject IS NOT NULL)`);
  await vault.exclusive(async () => {
    const added: NewEntries = { tokens: [], ciphers: [] };
    const firstNew = vault.nextId;
    await giveTokens(staging, vault, added);
    failpoint("engine.vault.tokens_made");
    await addCiphers(staging, vault, added);
    if (added.ciphers.length === 0) return;
    failpoint("engine.vault.before_commit");
    const write = vault.takeWrite();
    const address = sameValue("email", "value");
    const form = Vault.hashOf("kind", address);
    await sql.run(`BEGIN;
      INSERT INTO ${vaultTable("tokens")} SELECT id, kind, h0, h1, token, ${write} FROM pii_map WHERE id >= ${firstNew};
      INSERT INTO ${vaultTable("forms")} SELECT id, ${form.h0}, ${form.h1} FROM pii_map
        WHERE id >= ${firstNew} AND kind = 'email' AND value <> ${address};
      INSERT INTO ${vaultTable("subjects")} FROM new_subjects;
      INSERT INTO ${vaultTable("ciphers")} SELECT *, ${write} FROM new_ciphers;
      COMMIT`);
    failpoint("engine.vault.committed");
    await vault.index.add(added, write);
    vault.index.startMerge(vault.exclusive);
  });
}

/** `pii_map`, and `pii_ids` in the order of `pii_values`. Notes values that are new. */
async function giveTokens({ sql, schema }: Staging, vault: Vault, { tokens }: NewEntries): Promise<void> {
  const found = await numberColumns(await sql.stream(`SELECT ${hashWords} FROM pii_values`));
  const [h0, h1, h2, h3] = found.map((column) => new Uint32Array(column));
  const hashes = { h0: h0 ?? noWords, h1: h1 ?? noWords, h2: h2 ?? noWords, h3: h3 ?? noWords };
  const ids = await vault.index.tokensOf(hashes, hashes.h0.length);
  for (let i = 0; i < ids.length; i++) {
    if (!Number.isNaN(ids[i])) continue;
    const id = vault.takeId();
    ids[i] = id;
    tokens.push({ value: wordsAt(hashes, i), id });
  }
  const texts = vault.tokenTexts(ids);
  await sql.run("CREATE TABLE pii_ids (id BIGINT, text VARCHAR)");
  const appender = await sql.connection.createAppender("pii_ids", schema, "memory");
  let isOld = false;
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] as number;
    appender.appendBigInt(BigInt(id));
    isOld ||= id < vault.numberedFrom;
    if (id < vault.numberedFrom) appender.appendNull();
    else appender.appendVarchar(texts[i] ?? "");
    appender.endRow();
    if (i % valuesAtOnce === valuesAtOnce - 1) await turn();
  }
  appender.closeSync();
  if (isOld)
    await sql.run(
      `UPDATE pii_ids SET text = t.token[-22:] FROM ${vaultTable("tokens")} t WHERE t.id = pii_ids.id AND pii_ids.text IS NULL`,
    );
  await sql.run(`CREATE TABLE pii_map AS SELECT v.*, i.id,
      CASE v.kind WHEN '${subjectKind}' THEN 'sub_' ELSE concat('tok_', v.kind, '_') END || i.text AS token
    FROM pii_values v POSITIONAL JOIN pii_ids i`);
}

/**
 * `new_subjects` and `new_ciphers`: what the vault does not have yet of each value of each subject. A subject has its own value too;
 * where a record names none, the value is its own subject. Notes ciphertexts that are new.
 */
async function addCiphers(
  { sql, schema }: Staging,
  vault: Vault,
  { ciphers: added }: NewEntries,
): Promise<void> {
  await sql.run(`CREATE TABLE pii_pairs AS
    SELECT m.id AS token, coalesce(s.id, m.id) AS subject, m.value FROM pii_wanted p
    JOIN pii_map m ON m.kind = p.kind AND m.value = p.value
    LEFT JOIN pii_map s ON s.kind = '${subjectKind}' AND s.value = p.subject
    UNION SELECT id, id, value FROM pii_map WHERE kind = '${subjectKind}';
    CREATE TABLE pii_missing (n BIGINT);
    CREATE TABLE new_subjects (id BIGINT, wrapped BLOB);
    CREATE TABLE new_ciphers (token BIGINT, subject BIGINT, sealed BLOB)`);
  const pairs = await sql.stream("SELECT rowid::DOUBLE, token::DOUBLE, subject::DOUBLE FROM pii_pairs");
  const [rows = none, tokens = none, owners = none] = await numberColumns(pairs);
  const there = await vault.index.ciphersOf(tokens, owners);
  const missing = await sql.connection.createAppender("pii_missing", schema, "memory");
  for (const [i, one] of there.entries()) {
    if (!Number.isNaN(one)) continue;
    added.push({ token: tokens[i] as number, subject: owners[i] as number });
    missing.appendBigInt(BigInt(rows[i] as number));
    missing.endRow();
  }
  missing.closeSync();
  if (added.length === 0) return;
  // Every subject has its own value: who does not is new.
  const having = Float64Array.from(new Set(added.map(({ subject }) => subject)));
  const own = await vault.index.ciphersOf(having, having);
  const keys = await vault.keysOf(new Set(having.filter((_, i) => !Number.isNaN(own[i]))));
  const subjects = await sql.connection.createAppender("new_subjects", schema, "memory");
  const ciphers = await sql.connection.createAppender("new_ciphers", schema, "memory");
  const values = await sql.held(
    "SELECT token, subject, value FROM pii_pairs JOIN pii_missing ON n = pii_pairs.rowid ORDER BY subject",
  );
  await eachRow(values, (value) => {
    const subject = Number(value(1));
    let key = keys.get(subject);
    if (key === undefined) {
      const made = vault.newSubjectKey(subject);
      key = made.key;
      keys.set(subject, key);
      subjects.appendBigInt(BigInt(subject));
      subjects.appendBlob(made.wrapped);
      subjects.endRow();
    }
    ciphers.appendBigInt(value(0) as bigint);
    ciphers.appendBigInt(value(1) as bigint);
    ciphers.appendBlob(encrypt(key, Buffer.from(value(2) as string)));
    ciphers.endRow();
  });
  subjects.closeSync();
  ciphers.closeSync();
}
