import { createHash } from "node:crypto";
import type { ContractProgram, StreamPrivacy } from "@weir/compile";
import { ident, text } from "@weir/compile";
import type { RowTags } from "@weir/contract";
import { eachRow } from "../each-row.ts";
import { isObjectText, rawMembers, rawObject } from "../raw-json.ts";
import { subjectKind } from "./assign.ts";
import type { Staging } from "./assign.ts";
import { encrypt } from "./cipher.ts";
import { maskedValue, rewrittenAt } from "./rewrite.ts";
import { Vault } from "./vault.ts";

/**
 * Changes of a stream with tagged columns. Their values are in the row, and those of a key in the change's key and id too.
 *
 * - In the row and the key a token stands for each, so that a row is the same thing in all its changes.
 * - An id with a value in it becomes a keyed hash: as unique, and the same for the same change.
 * - The record's text is sealed whole, under the subject's key where the row has one. (Putting tokens into the text
 *   would leave an id that cannot be restored.)
 *
 * Row by row, as key and id hold JSON in strings: 12 us a change.
 */
export async function tokenizeStream(
  { sql, schema }: Staging,
  vault: Vault,
  { contract, model }: ContractProgram,
  stream: StreamPrivacy,
  detect: boolean,
): Promise<void> {
  const none = untouched(model.rowTags, stream.stream);
  const seal = await vault.sealer(new Date().toISOString().slice(0, 10));
  await sql.run(
    `CREATE OR REPLACE TABLE tokenized_changes (_key BIGINT, id VARCHAR, key VARCHAR, "row" VARCHAR, text VARCHAR)`,
  );
  const people = await sql.rows<{ id: number }>(
    `SELECT id::DOUBLE AS id FROM pii_map WHERE kind = ${text(subjectKind)}`,
  );
  const keys = await vault.exclusive(() => vault.keysOf(new Set(people.map(({ id }) => id))));
  const rows = await sql.held(stream.rows);
  const appender = await sql.connection.createAppender("tokenized_changes", schema, "memory");
  await eachRow(rows, (value) => {
    const [id = "", key = "", row = "", line = ""] = [1, 2, 3, 4].map((i) => value(i) as string);
    const values = JSON.parse(value(5) as string) as (string | null)[];
    const tokens = JSON.parse(value(6) as string) as (string | null)[];
    const hidden = new Map(stream.columns.map(({ name }, i) => [name, tokens[i] ?? null]));
    const inKey = tokenizedKey(key, values, tokens, () => keptKey(row, stream.key, hidden));
    let plain = line;
    for (const [i, { name, tag }] of stream.columns.entries())
      if ((tag === "pan" || tag === "cvv") && tokens[i] !== null)
        plain = rewrittenAt(plain, ["row", name], JSON.stringify(tokens[i]));
    appender.appendBigInt(value(0) as bigint);
    appender.appendVarchar(inKey === key ? id : hashedId(id, vault.hashSecret));
    appender.appendVarchar(inKey);
    appender.appendVarchar(tokenizedRow(row, hidden, detect ? keptColumns(none, inKey) : undefined));
    const subject = value(7);
    const sealed =
      subject === null
        ? seal(plain)
        : Vault.sealedFor(
            value(8) as string,
            encrypt(subjectKeyOf(keys, Number(subject)), Buffer.from(plain)),
          );
    appender.appendVarchar(sealed);
    appender.endRow();
  });
  appender.closeSync();
  const table = ident(`rows_${contract.name}`);
  await sql.run(`CREATE TABLE tokenized AS SELECT r.* REPLACE (coalesce(c.id, r.id) AS id,
      coalesce(c.key, r.key) AS key, coalesce(c."row"::JSON, r."row") AS "row")
    FROM ${table} r LEFT JOIN tokenized_changes c USING (_key);
    DROP TABLE ${table};
    ALTER TABLE tokenized RENAME TO ${table};
    INSERT INTO texts SELECT _key, text, TRUE FROM tokenized_changes`);
}

function subjectKeyOf(keys: ReadonlyMap<number, Buffer>, subject: number): Buffer {
  const key = keys.get(subject);
  if (key === undefined) throw new Error(`unreachable: subject ${subject} has no key`);
  return key;
}

/** What of a row is not searched: columns that are said to hold nothing personal, and values by which the row is known. */
interface Kept {
  readonly columns: ReadonlySet<string>;
  readonly values: ReadonlySet<string>;
}

function keptColumns(columns: ReadonlySet<string>, key: string): Kept {
  const values = (JSON.parse(key) as unknown[]).map((part) => JSON.stringify(part));
  return { columns, values: new Set(values) };
}

/** @param kept undefined where free text is not searched */
function tokenizedRow(
  row: string,
  hidden: ReadonlyMap<string, string | null>,
  kept: Kept | undefined,
): string {
  return rawObject(
    rawMembers(row).map(({ name, value }) => {
      const token = hidden.get(name);
      if (token !== undefined && token !== null) return { name, value: JSON.stringify(token) };
      if (kept === undefined || token !== undefined || kept.columns.has(name) || kept.values.has(value))
        return { name, value };
      return { name, value: maskedValue(value) };
    }),
  );
}

/** The values of those columns of a key that have no tag, and are in no other of its columns. */
function keptKey(
  row: string,
  key: readonly string[],
  hidden: ReadonlyMap<string, string | null>,
): ReadonlySet<unknown> {
  const columns = key.length === 0 ? {} : (JSON.parse(row) as Record<string, unknown>);
  const valuesOf = (names: readonly string[]): Set<unknown> => new Set(names.map((name) => columns[name]));
  const kept = valuesOf(key.filter((name) => !hidden.has(name)));
  for (const value of valuesOf(key.filter((name) => hidden.has(name)))) kept.delete(value);
  return kept;
}

/**
 * The key with tokens in place of the values that it shares with tagged columns. Where the project says which columns the key has, not in place
 * of one that a column without a tag has, as order 7 of customer 7: a delete has the key alone, and must be of the same row.
 *
 * @param kept values that stay
 */
function tokenizedKey(
  key: string,
  values: readonly (string | null)[],
  tokens: readonly (string | null)[],
  kept: () => ReadonlySet<unknown>,
): string {
  const parts = JSON.parse(key) as unknown[];
  let isChanged = false;
  const tokenized = parts.map((part) => {
    const at = values.findIndex((value) => value !== null && value === part);
    if (at < 0 || kept().has(part)) return part;
    isChanged = true;
    return tokens[at] ?? part;
  });
  return isChanged ? JSON.stringify(tokenized) : key;
}

const hashedId = (id: string, secret: string): string =>
  `chg_${createHash("sha256").update(secret).update(id).digest("hex").slice(0, 32)}`;

const untouched = (tags: RowTags | undefined, stream: string): ReadonlySet<string> =>
  new Set(Object.entries(tags?.[stream] ?? {}).flatMap(([column, tag]) => (tag === "none" ? [column] : [])));

/** The text of a change with what was found in its row masked. */
export function maskedChange(change: string, tags: RowTags): string {
  const members = rawMembers(change);
  const textOf = (name: string): string =>
    String(JSON.parse(members.find((member) => member.name === name)?.value ?? '""'));
  const kept = keptColumns(untouched(tags, textOf("stream")), textOf("key"));
  return rawObject(
    members.map((member) =>
      member.name === "row" && isObjectText(member.value)
        ? { ...member, value: tokenizedRow(member.value, new Map(), kept) }
        : member,
    ),
  );
}
