import type { Program, SubjectField } from "@weir/compile";
import { text } from "@weir/compile";
import type { Sql } from "../database.ts";
import type { Lake } from "../lake.ts";
import type { Vault } from "../privacy/vault.ts";
import { resolveRoute } from "../stage.ts";
import { bytesText, declaredWords, isLookedFor, wordPatterns } from "./words.ts";

/** Condition that a row `r` names the person of `erase_ids`. */
function namesPerson(fields: readonly SubjectField[], of: "ofRow" | "ofText"): string {
  const tests = fields.map(
    (field) => `${field[of]} IN (SELECT value FROM erase_ids WHERE kind = ${text(field.kind)})`,
  );
  return tests.length === 0 ? "FALSE" : `coalesce(${tests.join(" OR ")}, FALSE)`;
}

const position = (a: string, b: string): string =>
  ["source", "writer", "number", "line"].map((column) => `${a}.${column} = ${b}.${column}`).join(" AND ");

/** A zone, and the name that the manifest has its files under. */
interface Entries {
  readonly zone: string;
  readonly name: string;
}

/** Rows opened between two looks into them. */
const rowsAtOnce = 10_000;
/** Whether what is in a quarantined row is in the vault's keeping (see privacy/seal.ts). */
const isSealed = "starts_with(coalesce(text, base64), 'sealed:')";

/** `<file>` of `read_parquet`, relative to the lake. */
const relative = (lake: Lake, file: string): string => `substr(${file}, ${lake.root.length + 2})`;

/**
 * The rows of the lake that are of the person of `erase_ids`, as `erase_found` on the connection: by zone, the manifest's name, path, contract and position.
 * Files are looked at once: `look` again, and only those are read that are new in the manifest.
 *
 * A record is of the person if one of its fields that name persons has an identifier. A record in quarantine, also if its text
 * or bytes have one. A received record, if it is one of these, or a copy of one; one that no contract takes, also if its text
 * has one: it may have left the quarantine.
 */
export class FoundRows {
  readonly #sql: Sql;
  readonly #lake: Lake;
  readonly #program: Program;

  readonly #vault: Vault | undefined;

  constructor(sql: Sql, lake: Lake, program: Program, vault: Vault | undefined) {
    this.#vault = vault;
    this.#sql = sql;
    this.#lake = lake;
    this.#program = program;
  }

  /** Forgets what was found. */
  async clear(): Promise<void> {
    await this.#sql.run(`CREATE OR REPLACE TEMP TABLE erase_looked (path VARCHAR);
      CREATE OR REPLACE TEMP TABLE erase_found (zone VARCHAR, name VARCHAR, path VARCHAR, contract VARCHAR,
        source VARCHAR, writer VARCHAR, number UBIGINT, line UINTEGER)`);
  }

  /**
   * Brings `erase_found` in line with the manifest, as it is at the call: in one transaction, as a file that a commit or a merge lists
   * meanwhile must not count as looked at.
   */
  async look(): Promise<void> {
    await this.#sql.run("BEGIN");
    try {
      await this.#look();
      await this.#sql.run("COMMIT");
    } catch (error) {
      await this.#sql.run("ROLLBACK").catch(() => undefined);
      throw error;
    }
  }

  async #look(): Promise<void> {
    await this.#sql.run(`DELETE FROM erase_found WHERE path NOT IN (SELECT path FROM db.weir.files);
      DELETE FROM erase_looked WHERE path NOT IN (SELECT path FROM db.weir.files)`);
    const declared = this.#program.contracts.map(({ contract }) => contract.name);
    for (const { contract, emptyClean } of this.#program.contracts)
      await this.#lookAtClean(contract.name, emptyClean);
    for (const name of new Set(this.#program.subjects.map(({ contract }) => contract)))
      if (!declared.includes(name)) await this.#lookAtClean(name);
    await this.#lookAtQuarantine();
    await this.#lookAtRaw();
    await this.#sql.run(
      "INSERT INTO erase_looked SELECT path FROM db.weir.files WHERE path NOT IN (FROM erase_looked)",
    );
  }

  /** Files of the manifest that were not looked at. */
  async #files(zone: string, name?: string): Promise<string[]> {
    const rows = await this.#sql.rows<{ path: string }>(
      `SELECT path FROM db.weir.files WHERE zone = ${text(zone)} ${name === undefined ? "" : `AND name = ${text(name)}`}
       AND path NOT IN (FROM erase_looked) ORDER BY path`,
    );
    return rows.map(({ path }) => path);
  }

  #read(paths: readonly string[]): string {
    const list = paths.map((path) => text(this.#lake.path(path))).join(", ");
    return `read_parquet([${list}], union_by_name = true, hive_partitioning = false, filename = '_file')`;
  }

  #fields(contract: string): SubjectField[] {
    return this.#program.subjects.filter((field) => field.contract === contract);
  }

  /** @param emptyClean with all columns; undefined for a contract that the program does not declare any more */
  async #lookAtClean(name: string, emptyClean?: string): Promise<void> {
    const fields = this.#fields(name);
    const files = fields.length === 0 ? [] : await this.#files("clean", name);
    if (files.length === 0) return;
    const rows = `SELECT *, NULL::VARCHAR AS _file FROM (${emptyClean ?? `SELECT * EXCLUDE (_file) FROM ${this.#read(files)} LIMIT 0`})`;
    await this.#sql.run(`INSERT INTO erase_found
      SELECT 'clean', ${text(name)}, ${relative(this.#lake, "r._file")}, ${text(name)}, r._source, r._writer, r._number, r._line FROM (
        ${rows} UNION ALL BY NAME FROM ${this.#read(files)}
      ) r WHERE ${namesPerson(fields, "ofRow")}`);
  }

  async #lookAtQuarantine(): Promise<void> {
    const files = await this.#files("quarantine");
    if (files.length === 0) return;
    const rows = `SELECT ${relative(this.#lake, "_file")} AS path, contract, source, writer, number, line, text, base64 FROM ${this.#read(files)}`;
    const of = { zone: "quarantine", name: "" };
    await this.#lookInTexts(of, `SELECT * FROM (${rows}) WHERE NOT ${isSealed}`);
    if (this.#vault !== undefined)
      await this.#lookInSealed(of, `SELECT * FROM (${rows}) WHERE ${isSealed}`, this.#vault);
  }

  /** @param query of rows whose `text` or `base64` is as it was received; `contract` is the one that takes the text, or rejected it */
  async #lookInTexts({ zone, name }: Entries, query: string): Promise<void> {
    const values = await this.#sql.rows<{ value: string }>(
      "SELECT DISTINCT value FROM erase_ids WHERE token IS NULL",
    );
    const declared = declaredWords(this.#program);
    const long = values.flatMap(({ value }) => (isLookedFor(value, declared) ? [value] : []));
    const words = wordPatterns(long).map(
      (pattern) => `regexp_matches(coalesce(r.text, ${bytesText("r.base64")}), ${text(pattern)})`,
    );
    const byField = this.#program.contracts.flatMap(({ contract }) => {
      const fields = this.#fields(contract.name);
      return fields.length === 0
        ? []
        : [
            `(r.contract = ${text(contract.name)} AND r.text IS NOT NULL AND ${namesPerson(fields, "ofText")})`,
          ];
    });
    await this.#sql.run(`INSERT INTO erase_found
      SELECT ${text(zone)}, ${text(name)}, r.path, ${zone === "raw" ? "NULL" : "r.contract"}, r.source, r.writer, r.number, r.line
      FROM (${query}) r WHERE coalesce(${[...words, ...byField, "FALSE"].join(" OR ")}, FALSE)`);
  }

  /** Opens what is sealed, some rows at a time. */
  async #lookInSealed(of: Entries, query: string, vault: Vault): Promise<void> {
    await this.#sql.run(`CREATE OR REPLACE TEMP TABLE erase_sealed AS
      SELECT row_number() OVER () AS n, * FROM (${query});
      CREATE OR REPLACE TEMP TABLE erase_opened (n BIGINT, opened VARCHAR)`);
    const { n } = await this.#sql.row<{ n: number }>("SELECT count(*)::DOUBLE AS n FROM erase_sealed");
    for (let from = 1; from <= n; from += rowsAtOnce) {
      const some = await this.#sql.rows<{ n: number; sealed: string }>(
        `SELECT n::DOUBLE AS n, coalesce(text, base64) AS sealed FROM erase_sealed WHERE n BETWEEN ${from} AND ${from + rowsAtOnce - 1} ORDER BY n`,
      );
      const opened = await vault.unseal(some.map(({ sealed }) => sealed));
      const appender = await this.#sql.connection.createAppender("erase_opened", "main", "temp");
      for (const [i, one] of opened.entries()) {
        // Its key is gone: nobody reads it any more.
        if (one === undefined) continue;
        appender.appendBigInt(BigInt(some[i]?.n ?? 0));
        appender.appendVarchar(one);
        appender.endRow();
      }
      appender.closeSync();
      await this.#lookInTexts(
        of,
        `SELECT path, contract, source, writer, number, line,
        CASE WHEN text IS NOT NULL THEN opened END AS text, CASE WHEN text IS NULL THEN opened END AS base64
        FROM erase_sealed JOIN erase_opened USING (n)`,
      );
      await this.#sql.run("DELETE FROM erase_opened");
    }
    await this.#sql.run("DROP TABLE temp.erase_sealed; DROP TABLE temp.erase_opened");
  }

  async #lookAtRaw(): Promise<void> {
    const insert = "INSERT INTO erase_found SELECT 'raw', r._source";
    const sources = await this.#sql.rows<{ source: string }>(
      "SELECT DISTINCT name AS source FROM db.weir.files WHERE zone = 'raw' ORDER BY 1",
    );
    for (const { source } of sources) {
      const names = this.#program.sources[source] ?? [];
      const files = await this.#files("raw", source);
      if (files.length === 0) continue;
      for (const { contract } of this.#program.contracts) {
        const fields = names.includes(contract.name) ? this.#fields(contract.name) : [];
        if (fields.length === 0) continue;
        const sent = [contract.name, ...contract.aliases].map(text).join(", ");
        await this.#sql
          .run(`${insert}, ${relative(this.#lake, "r._file")}, NULL, r._source, r.writer, r.number, r.line
          FROM (SELECT *, ${text(source)} AS _source FROM ${this.#read(files)}
            WHERE error IS NULL AND starts_with(text, '{') AND split_part(contract, '@', 1) IN (${sent})) r
          WHERE ${namesPerson(fields, "ofText")}`);
      }
      await this.#lookAtRefused(source, names, files);
    }
    await this.#lookForPositions();
    // Of contracts that share an alias, both may have found a record.
    await this.#sql.run("CREATE OR REPLACE TEMP TABLE erase_found AS SELECT DISTINCT * FROM erase_found");
  }

  /**
   * Received records that no field is looked for in: those that no contract takes, and those that are sealed. Of the
   * sealed ones all that have another row are found by it; others are duplicates, or left the quarantine.
   */
  async #lookAtRefused(
    source: string,
    contracts: readonly string[],
    files: readonly string[],
  ): Promise<void> {
    const sent = await this.#sql.rows<{ sent: string | null }>(
      `SELECT DISTINCT contract AS sent FROM ${this.#read(files)} WHERE error IS NULL`,
    );
    const routes = sent.map(({ sent: name }) => ({ name, ...resolveRoute(this.#program, source, name) }));
    const values = routes.map(({ name, contract }) =>
      [name, contract]
        .map((one) => (one === undefined || one === null ? "NULL::VARCHAR" : text(one)))
        .join(", "),
    );
    const routed = `(VALUES ${[...values, "NULL::VARCHAR, NULL::VARCHAR"].map((value) => `(${value})`).join(", ")}) s(sent, takes)`;
    const rows = `SELECT ${relative(this.#lake, "_file")} AS path, s.takes AS contract, ${text(source)} AS source, writer, number, line,
        CASE WHEN error IS NULL THEN text END AS text, CASE WHEN error IS NOT NULL THEN text END AS base64
      FROM ${this.#read(files)} r LEFT JOIN (SELECT DISTINCT * FROM ${routed}) s ON r.error IS NULL AND s.sent IS NOT DISTINCT FROM r.contract`;
    const of = { zone: "raw", name: source };
    await this.#lookInTexts(of, `SELECT * FROM (${rows}) WHERE contract IS NULL AND NOT ${isSealed}`);
    if (this.#vault === undefined) return;
    const others = await this.#sql.rows<{ zone: string; path: string }>(
      `SELECT zone, path FROM db.weir.files WHERE zone = 'quarantine'
       OR (zone = 'clean' AND name IN (${contracts.map(text).join(", ") || "NULL"})) ORDER BY path`,
    );
    const positions = ["quarantine", "clean"].flatMap((zone) => {
      const paths = others.filter((other) => other.zone === zone).map(({ path }) => path);
      const at = ["source", "writer", "number", "line"].map((column) =>
        zone === "clean" ? `_${column}` : column,
      );
      return paths.length === 0
        ? []
        : [
            `SELECT ${at[1]} AS writer, ${at[2]} AS number, ${at[3]} AS line FROM ${this.#read(paths)} WHERE ${at[0]} = ${text(source)}`,
          ];
    });
    const alone = positions.map((one) => `ANTI JOIN (${one}) USING (writer, number, line)`).join(" ");
    await this.#lookInSealed(of, `SELECT q.* FROM (${rows}) q ${alone} WHERE ${isSealed}`, this.#vault);
  }

  /** Received records whose clean or quarantined row was found; in files that were looked at too, as that row may be in one that was not. */
  async #lookForPositions(): Promise<void> {
    const sources = await this.#sql.rows<{ source: string }>(
      "SELECT DISTINCT source FROM erase_found WHERE zone <> 'raw'",
    );
    for (const { source } of sources) {
      const rows = await this.#sql.rows<{ path: string }>(
        `SELECT path FROM db.weir.files WHERE zone = 'raw' AND name = ${text(source)}`,
      );
      if (rows.length === 0) continue;
      const of = `source = ${text(source)}`;
      await this.#sql.run(`INSERT INTO erase_found
        SELECT DISTINCT 'raw', ${text(source)}, ${relative(this.#lake, "r._file")}, NULL, r.source, r.writer, r.number, r.line
        FROM (SELECT ${text(source)} AS source, writer, number, line, _file FROM ${this.#read(rows.map(({ path }) => path))}) r
        WHERE EXISTS (SELECT 1 FROM erase_found f WHERE f.zone <> 'raw' AND f.${of} AND ${position("f", "r")})
          AND NOT EXISTS (SELECT 1 FROM erase_found f WHERE f.zone = 'raw' AND f.${of} AND ${position("f", "r")})`);
    }
  }
}

/** What stays of a file of a zone: a query over it, by its path in the lake. */
export function keptRows(lake: Lake, zone: string, name: string, path: string): string {
  const column = (of: string): string => (zone === "clean" ? `r._${of}` : `r.${of}`);
  const source = zone === "raw" ? text(name) : column("source");
  const same = [
    `f.source = ${source}`,
    ...["writer", "number", "line"].map((of) => `f.${of} = ${column(of)}`),
  ];
  return `SELECT * FROM read_parquet(${text(lake.path(path))}, hive_partitioning = false) r
    WHERE NOT EXISTS (SELECT 1 FROM erase_found f WHERE f.zone = ${text(zone)} AND f.name = ${text(name)} AND ${same.join(" AND ")})`;
}

/** Condition that `f` of `erase_found` and the columns of `c`, a row of the clean zone, are of one record. */
export const foundInClean = (contract: string, c: string): string =>
  `f.zone = 'clean' AND f.name = ${text(contract)} AND f.source = ${c}._source AND f.writer = ${c}._writer
   AND f.number = ${c}._number AND f.line = ${c}._line`;
