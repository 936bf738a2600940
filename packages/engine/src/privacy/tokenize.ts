import type { ContractProgram, Program } from "@weir/compile";
import {
  contentOf,
  keptText,
  personColumns,
  taggedLines,
  taggedTable,
  text,
  unprovenTexts,
} from "@weir/compile";
import { failpoint } from "@weir/log";
import { eachRow } from "../each-row.ts";
import { normalizeRecord } from "../normalize.ts";
import { assignTokens } from "./assign.ts";
import type { Staging } from "./assign.ts";
import type { Sql } from "../database.ts";
import { maskedChange, tokenizeStream } from "./captured.ts";
import { isFound, mayHold } from "./detect.ts";
import { declaredAt, maskedRecord, rewrittenAt } from "./rewrite.ts";
import { sealRejected } from "./seal.ts";
import type { Vault } from "./vault.ts";

/**
 * Takes personal values out of a batch: between the verdict on its records and the first thing that is written of it.
 *
 * Reads `lines`, `routes`, `rejects` and the `rows_<contract>` of valid records (see `duckdb/rows.ts` of the compiler), all as received. Leaves
 * the rows with tokens, `lines` with the texts of failed records alone, sealed, and `kept_lines` with all texts as they are kept, each
 * with that of the original (see content.ts of the compiler) as `content` where it was changed. Which records are valid stays the same, and what they are deduplicated by.
 *
 * Crash points: nothing of the batch is on disk, and what it needs of the vault is, before this resolves. When the batch
 * runs again, it finds its values in the vault.
 */
export async function takeOutPii(
  staging: Staging,
  { program, vault }: { readonly program: Program; readonly vault: Vault | undefined },
  contracts: readonly ContractProgram[],
): Promise<void> {
  const { sql } = staging;
  if (vault === undefined || !program.privacy.on) {
    await sql.run("CREATE VIEW kept_lines AS SELECT *, NULL::UBIGINT AS content FROM lines");
    return;
  }
  await sql.run(`CREATE TABLE pii_wanted (kind VARCHAR, value VARCHAR, subject VARCHAR);
    CREATE TABLE texts (_key BIGINT, text VARCHAR, done BOOLEAN);
    CREATE TABLE sealed (_key BIGINT, text VARCHAR, error VARCHAR, violations VARCHAR)`);
  const era = await vault.exclusive(() => vault.people.open(sql, contracts));
  for (const { privacy } of contracts) for (const { sql: wanted } of privacy.wanted) await sql.run(wanted);
  await assignTokens(staging, vault);
  const orders = new Map<ContractProgram, readonly number[]>();
  for (const contract of contracts) {
    const { replace, streams } = contract.privacy;
    if (replace !== undefined) {
      await sql.run(replace.sql);
      const order = await orderOf(staging, contract);
      orders.set(contract, order);
      await sql.run(unprovenTexts(contract.model, order));
      await rewriteUnproven(staging, contract);
    }
    for (const stream of streams)
      await tokenizeStream(staging, vault, contract, stream, program.privacy.detect);
    if (program.privacy.detect) await maskFreeText(staging, contract, orders.get(contract));
  }
  await rememberPeople(sql, vault, era, contracts);
  failpoint("engine.privacy.rows");
  await sealRejected(staging, vault, program.contracts);
  await sql.run(`ALTER TABLE lines RENAME TO received_lines;
    CREATE VIEW kept_lines AS ${keptLines(orders)};
    CREATE VIEW lines AS SELECT l.* REPLACE (coalesce(s.error, l.error) AS error, s.text AS text)
      FROM received_lines l LEFT JOIN sealed s USING (_key)`);
  failpoint("engine.privacy.lines");
}

/** So that the batches to come need not ask the vault about the same people. */
async function rememberPeople(
  sql: Sql,
  vault: Vault,
  era: number,
  contracts: readonly ContractProgram[],
): Promise<void> {
  const { n } = await sql.row<{ n: number }>("SELECT count(*)::DOUBLE AS n FROM pii_wanted");
  if (n > 0) await vault.exclusive(() => vault.people.add(sql, contracts, era, n));
}

/**
 * Every line as it is kept. The text of a valid record is made while it is written, and not before: to hold all of a batch's texts
 * once more costs 1.5 us a record.
 */
function keptLines(orders: ReadonlyMap<ContractProgram, readonly number[]>): string {
  const selects = [...orders].map(([{ model }, order]) => {
    const values = personColumns(model).join(", ");
    const base = taggedLines(
      model,
      "received_lines",
      "l.* EXCLUDE (text), l.text AS _original, x.text AS _again",
    );
    return `SELECT * EXCLUDE (_original, _again, _text, _content, _plain, ${values}), coalesce(_again, _text) AS text, _content AS content
      FROM (${keptText(model, base, order)}) UNION ALL BY NAME `;
  });
  const others = [...orders.keys()].map(
    ({ model }) => `AND l._key NOT IN (SELECT _key FROM ${taggedTable(model.name)})`,
  );
  return `${selects.join("")}SELECT l.* REPLACE (coalesce(s.error, l.error) AS error, coalesce(s.text, x.text, l.text) AS text),
      CASE WHEN x.text <> l.text THEN ${contentOf("l.text")} END AS content
    FROM received_lines l LEFT JOIN texts x USING (_key) LEFT JOIN sealed s USING (_key) WHERE TRUE ${others.join(" ")}`;
}

/** The order in which a record of the batch has its tagged fields: most have them in one order, that of their sender's code. */
async function orderOf({ sql }: Staging, { model }: ContractProgram): Promise<readonly number[]> {
  const all = model.tagged.map((_, i) => i);
  const present = all.map((i) => `(t${i} IS NOT NULL)::INTEGER`).join(" + ");
  const [one] = await sql.rows<{ text: string }>(
    `SELECT text FROM lines WHERE _key = (SELECT arg_max(_key, ${present}) FROM ${taggedTable(model.name)})`,
  );
  const at = (i: number): number =>
    one?.text.indexOf(`${JSON.stringify(model.tagged[i]?.path.at(-1) ?? "")}:`) ?? 0;
  return all.toSorted((a, b) => at(a) - at(b));
}

/** Writes the texts whose values are not where SQL looks for them: with escapes, or numbers in another form. */
async function rewriteUnproven(
  { sql, schema }: Staging,
  { model, contract }: ContractProgram,
): Promise<void> {
  const { tagged } = model;
  const tokens = tagged.map((_, i) => `t.t${i}`).join(", ");
  await sql.run("CREATE OR REPLACE TABLE rewritten (_key BIGINT, text VARCHAR)");
  const rows = await sql.held(
    `SELECT x._key, x.text, to_json([${tokens}])::VARCHAR FROM texts x JOIN ${taggedTable(contract.name)} t USING (_key) WHERE NOT x.done`,
  );
  const appender = await sql.connection.createAppender("rewritten", schema, "memory");
  await eachRow(rows, (value) => {
    let kept = value(1) as string;
    for (const [i, token] of (JSON.parse(value(2) as string) as (string | null)[]).entries()) {
      const field = tagged[i];
      if (token === null || field === undefined) continue;
      kept = rewrittenAt(kept, field.path, `${field.isInteger ? "  " : " "}${JSON.stringify(token)}`);
    }
    appender.appendBigInt(value(0) as bigint);
    appender.appendVarchar(kept);
    appender.endRow();
  });
  appender.closeSync();
  await sql.run(`UPDATE texts SET text = r.text, done = TRUE FROM rewritten r WHERE r._key = texts._key`);
}

/** Masks e-mail addresses and card numbers in what nothing is declared of, in rows and texts alike. */
async function maskFreeText(
  staging: Staging,
  program: ContractProgram,
  order: readonly number[] | undefined,
): Promise<void> {
  const { sql } = staging;
  const { contract, model, privacy } = program;
  if (privacy.freeText === undefined) return;
  const rows = `"rows_${contract.name}"`;
  const hits: bigint[] = [];
  const suspects = await sql.stream(
    `SELECT _key, x FROM (SELECT _key, ${privacy.freeText} AS x FROM ${rows} r WHERE _ok) WHERE ${mayHold("x")}
      ${model.rowTags === undefined ? "" : "AND _key NOT IN (SELECT _key FROM texts)"}`,
  );
  await eachRow(suspects, (value) => {
    if (isFound(value(1) as string)) hits.push(value(0) as bigint);
  });
  if (hits.length === 0) return;
  await loadKeys(staging, hits);
  const declared = declaredOf(program);
  await sql.run(
    "CREATE OR REPLACE TABLE refreshed (_key BIGINT, contract VARCHAR, text VARCHAR, extra VARCHAR, kept VARCHAR)",
  );
  const plain =
    "SELECT _key, coalesce(x.text, l.text) AS text FROM hits JOIN lines l USING (_key) LEFT JOIN texts x USING (_key)";
  const tagged = `SELECT t.*, l.text AS _original, x.text AS _again FROM hits JOIN lines l USING (_key)
    JOIN ${taggedTable(contract.name)} t USING (_key) LEFT JOIN texts x USING (_key)`;
  const found = await sql.held(
    order === undefined
      ? plain
      : `${plain} WHERE _key NOT IN (SELECT _key FROM ${taggedTable(contract.name)}) UNION ALL
         SELECT _key, coalesce(_again, _text) FROM (${keptText(model, tagged, order)})`,
  );
  const appender = await sql.connection.createAppender("refreshed", staging.schema, "memory");
  await eachRow(found, (value) => {
    const before = value(1) as string;
    const kept =
      model.rowTags === undefined
        ? maskedRecord(before, model.fields, declared)
        : maskedChange(before, model.rowTags);
    if (kept === before) return;
    const { text: normal, extra } = normalizeRecord(model.fields, kept);
    appender.appendBigInt(value(0) as bigint);
    appender.appendVarchar(contract.name);
    appender.appendVarchar(normal);
    if (extra === null) appender.appendNull();
    else appender.appendVarchar(extra);
    appender.appendVarchar(kept);
    appender.endRow();
  });
  appender.closeSync();
  await sql.run(privacy.refresh.sql);
  await sql.run(`DELETE FROM texts WHERE _key IN (SELECT _key FROM refreshed WHERE contract = ${text(contract.name)});
    INSERT INTO texts SELECT _key, kept, TRUE FROM refreshed`);
}

async function loadKeys({ sql, schema }: Staging, keys: readonly bigint[]): Promise<void> {
  await sql.run("CREATE OR REPLACE TABLE hits (_key BIGINT)");
  const appender = await sql.connection.createAppender("hits", schema, "memory");
  for (const key of keys) {
    appender.appendBigInt(key);
    appender.endRow();
  }
  appender.closeSync();
}

/** Where a contract's records are not searched. */
function declaredOf({ contract, privacy }: ContractProgram): ReadonlySet<string> {
  const declared = new Set(privacy.naming.map(declaredAt));
  const named = [contract.id, contract.time, ...(contract.key === undefined ? [] : [contract.key]), "type"];
  for (const name of named) declared.add(declaredAt([name]));
  const walk = (schema: unknown, path: readonly string[]): void => {
    const { properties = {}, pii } = schema as { properties?: Record<string, unknown>; pii?: string };
    if (pii !== undefined) declared.add(declaredAt(path));
    for (const [name, field] of Object.entries(properties))
      if (typeof field === "object" && field !== null) walk(field, [...path, name]);
  };
  walk(contract.schema, []);
  return declared;
}
