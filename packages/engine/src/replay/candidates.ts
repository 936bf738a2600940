import { ident, keyedContent, text } from "@weir/compile";
import { failpoint } from "@weir/log";
import type { CleanManifest } from "../shadow/manifest.ts";
import { cleanRows } from "../history.ts";
import { quarantineRows } from "../tasks/quarantine-files.ts";
import { insertParts, judged, rawRows, recordColumns } from "./derive.ts";
import type { DeriveContext } from "./derive.ts";
import { samePlace } from "./workspace.ts";

const filesAtOnce = 64;

/** What a candidate is; of two that are equal the lesser counts, so that a replay by an unchanged program changes nothing. */
const rank = { live: 0, interval: 1, hidden: 2, raw: 3 } as const;

interface AdvanceContext extends DeriveContext {
  /** Raw rows that are judged at a time. */
  readonly chunkRows: number;
}

/**
 * Brings `candidates` up to a commit: every record outside the interval that may win an affected id is there, and those that
 * have a row in a file and do not win are hidden as of it. Within a transaction of the workspace.
 *
 * A record that is loaded is what it was judged to be. One that was a duplicate of a record that vanished is read from raw and judged by the
 * program: whether it was loaded for a while, before that one came, must not matter. Where it wins and has no row, a file with
 * its row is written.
 */
export async function advance(context: AdvanceContext, live: CleanManifest): Promise<void> {
  const { space } = context;
  const { reached } = await space.sql.row<{ reached: number | null }>(
    "SELECT reached::DOUBLE AS reached FROM replay",
  );
  await readHidden(context, live);
  if (reached === null || live.commit > reached) {
    if (await space.has("SELECT 1 AS one FROM affected")) {
      await findRows(context, live, reached ?? -1);
      if (await space.has("SELECT 1 AS one FROM affected WHERE vanished"))
        await findDuplicates(context, live.commit, reached ?? -1);
      await decide(context, live.commit);
    }
    await space.sql.run(`UPDATE replay SET reached = ${live.commit}`);
  }
  await space.sql.run(`CREATE OR REPLACE TEMP TABLE hidden_new AS
    SELECT h.* FROM temp.hidden_live h ANTI JOIN affected a ON a.contract = h.contract AND a.id = h.id
    WHERE NOT EXISTS (SELECT 1 FROM removed o WHERE o.hidden AND o.contract = h.contract AND ${samePlace("o", "h")})
    UNION ALL SELECT contract, id, source, writer, number, line, hidden_at FROM candidates WHERE hidden_at IS NOT NULL`);
}

/** `hidden_live`: what other records took the place of, in the live clean zone. */
async function readHidden({ space }: AdvanceContext, { superseded }: CleanManifest): Promise<void> {
  await space.sql.run("CREATE OR REPLACE TEMP TABLE hidden_live AS FROM live_hidden LIMIT 0");
  await space.fill(
    "temp.hidden_live",
    superseded.map(
      (one) =>
        `(${text(one.contract)}, ${text(one.id)}, ${text(one.source)}, ${text(one.writer)}, ${one.number}, ${one.line}, ${one.commit})`,
    ),
  );
}

const isHidden = `EXISTS (SELECT 1 FROM temp.hidden_live h WHERE h.contract = r.contract AND ${samePlace("h", "r")})`;

/** Rows of live files after a commit. */
async function findRows(
  { host, space }: AdvanceContext,
  live: CleanManifest,
  reached: number,
): Promise<void> {
  const { barrier, undoes } = await space.interval();
  for (const contract of host.program.contracts) {
    const { name, id } = contract.contract;
    if (!(await space.has(`SELECT 1 AS one FROM affected WHERE contract = ${text(name)}`))) continue;
    const files = live.files.filter((file) => file.contract === name && file.commit > reached);
    for (const isBefore of [true, false]) {
      const some = files.filter(({ commit }) => commit <= barrier === isBefore);
      for (let at = 0; at < some.length; at += filesAtOnce) {
        const paths = some.slice(at, at + filesAtOnce).map(({ path }) => path);
        const rows = cleanRows(host.lake, contract, paths);
        const other = isBefore ? `NOT (${await space.ofReplay("clean", "r")})` : "TRUE";
        await space.sql.run(`INSERT INTO candidates
          SELECT r.*, CASE WHEN ${isHidden} THEN ${rank.hidden} ELSE ${rank.live} END, TRUE, NOT ${isHidden}, NULL
          FROM (SELECT ${recordColumns(contract)} FROM (${rows}) r WHERE ${other}) r
          SEMI JOIN affected a ON a.contract = r.contract AND a.id = r.id`);
        if (undoes !== null) continue;
        // Undoing this gives them back their places, also when they are hidden and merged away by then.
        const query = `SELECT r.* FROM (${rows}) r SEMI JOIN (SELECT id FROM affected WHERE contract = ${text(name)}) a
          ON a.id = r.${ident(id)}::VARCHAR WHERE ${other}`;
        const path = `outside/${name}/${live.commit}-${isBefore}-${at}.parquet`;
        const { rows: n } = await space.files.write(space.sql, query, {
          zone: "clean",
          name,
          path,
          minTime: "",
          maxTime: "",
        });
        await space.sql.run(
          `DELETE FROM parts WHERE path = ${text(path)}; ${n > 0 ? insertParts([{ kind: "outside", contract: name, path }], "outside") : ""}`,
        );
      }
    }
  }
}

interface RawFile extends Record<string, string | number> {
  source: string;
  path: string;
  commit: number;
  low: string;
  high: string;
}

/** Raw records after a commit that do not show in the clean zone and are not in quarantine, as another one had their id. */
async function findDuplicates(context: AdvanceContext, upTo: number, reached: number): Promise<void> {
  const { host, sql, space, chunkRows } = context;
  const between = `"commit" > ${reached} AND "commit" <= ${upTo}`;
  const files = await sql.rows<RawFile>(
    `SELECT name AS source, path, "commit"::DOUBLE AS "commit", min_time::VARCHAR AS low, max_time::VARCHAR AS high
     FROM db.weir.files WHERE zone = 'raw' AND ${between} ORDER BY "commit", path`,
  );
  const listed = await sql.rows<{ zone: string; path: string }>(
    `SELECT zone, path FROM db.weir.files WHERE zone <> 'raw' AND ${between}`,
  );
  const paths = (zone: string): string[] =>
    listed.filter((file) => file.zone === zone).map(({ path }) => path);
  const others = [quarantineRows(host.lake, paths("quarantine")), ...cleanPlaces(context, paths("clean"))];
  const { barrier } = await space.interval();
  let n = 0;
  for (const { source, path, commit, low, high } of files) {
    const isBefore = commit <= barrier;
    const found = await space.sql.rows<{ n: number }>(`SELECT file_row_number::DOUBLE AS n
      FROM (${rawRows(host, source, path)}) r WHERE ${isBefore ? `NOT (${await space.ofReplay("raw", "r")})` : "TRUE"}
      ${others.map((rows) => `AND NOT EXISTS (SELECT 1 FROM (${rows}) o WHERE o.received_at BETWEEN ${text(low)}::TIMESTAMP AND ${text(high)}::TIMESTAMP AND ${samePlace("o", "r")})`).join(" ")}`);
    for (let at = 0; at < found.length; at += chunkRows) {
      const numbers = found.slice(at, at + chunkRows).map((row) => row.n);
      const query = `SELECT * FROM (${rawRows(host, source, path)}) r WHERE file_row_number IN (${numbers.join(", ")})
        AND NOT EXISTS (SELECT 1 FROM db.weir.discarded d WHERE ${samePlace("d", "r")})`;
      const name = `dups-${upTo}-${n++}`;
      const written = await judged(context, query, name, "dups");
      await space.sql.run(`DELETE FROM parts WHERE chunk = '${name}'; ${insertParts(written, name)}`);
      for (const part of written) await addDuplicates(context, part);
    }
  }
  failpoint("engine.task.replay_duplicates");
}

const cleanPlaces = ({ host }: AdvanceContext, paths: readonly string[]): string[] =>
  paths.length === 0
    ? []
    : [
        `SELECT _source AS source, _writer AS writer, _number AS number, _line AS line, _received_at AS received_at
         FROM read_parquet([${paths.map((path) => text(host.lake.path(path))).join(", ")}], union_by_name = true, hive_partitioning = false)
         WHERE NOT EXISTS (SELECT 1 FROM temp.hidden_live h WHERE h.source = _source AND h.writer = _writer AND h.number = _number AND h.line = _line)`,
      ];

async function addDuplicates(
  { host, space }: AdvanceContext,
  { contract: name, path }: { readonly contract: string; readonly path: string },
): Promise<void> {
  const contract = host.program.contracts.find((one) => one.contract.name === name);
  if (contract === undefined) return;
  await space.sql.run(`CREATE OR REPLACE TEMP TABLE valid_again AS SELECT r.* FROM (
      SELECT ${recordColumns(contract)} FROM read_parquet(${text(space.files.path(path))}, hive_partitioning = false)) r
    SEMI JOIN affected a ON a.vanished AND a.contract = r.contract AND a.id = r.id;
    UPDATE candidates SET eligible = TRUE WHERE EXISTS (
      SELECT 1 FROM temp.valid_again r WHERE r.contract = candidates.contract AND r.id = candidates.id AND ${samePlace("r", "candidates")});
    INSERT INTO candidates SELECT r.*, ${rank.raw}, FALSE, TRUE, NULL FROM temp.valid_again r WHERE NOT ${isHidden}`);
}

/** Which candidate of each id wins. One that was loaded before there was a vault is the same record as one with its content by the key. */
export const best = `SELECT o.contract, o.id, o.t, o.c, source, writer, number, line, rank, in_file
  FROM (SELECT *, ${keyedContent("c")} AS keyed FROM candidates WHERE eligible) o
  LEFT JOIN (SELECT DISTINCT contract, id, t, c FROM candidates WHERE eligible) k
    ON k.contract = o.contract AND k.id = o.id AND k.t = o.t AND k.c = o.keyed
  QUALIFY row_number() OVER (PARTITION BY o.contract, o.id
    ORDER BY o.t, coalesce(k.c, o.c), rank, source, writer, number, line) = 1`;

/** Hides what has a row and does not win; gives a row to what wins and has none. */
async function decide({ host, space, task }: AdvanceContext, commit: number): Promise<void> {
  await space.sql.run(`CREATE OR REPLACE TEMP TABLE best AS ${best};
    UPDATE candidates SET hidden_at = ${commit} WHERE in_file AND hidden_at IS NULL AND NOT EXISTS (
      SELECT 1 FROM temp.best b WHERE b.contract = candidates.contract AND b.id = candidates.id AND ${samePlace("b", "candidates")})`);
  for (const { contract } of host.program.contracts) {
    const { name, time } = contract;
    const rowless = `SELECT 1 AS one FROM temp.best b WHERE NOT b.in_file AND b.contract = ${text(name)}`;
    const files = await space.parts("dups", name);
    if (files === undefined || !(await space.has(rowless))) continue;
    const query = `SELECT f.* FROM read_parquet(${files}, union_by_name = true, hive_partitioning = false) f WHERE EXISTS (
      ${rowless} AND b.source = f._source AND b.writer = f._writer AND b.number = f._number AND b.line = f._line)`;
    const { low, high } = await space.sql.row<{ low: string; high: string }>(
      `SELECT min(${ident(time)})::VARCHAR AS low, max(${ident(time)})::VARCHAR AS high FROM (${query})`,
    );
    const file = await space.files.write(space.sql, query, {
      zone: "clean",
      name,
      path: `added/${name}/${commit}.parquet`,
      minTime: low,
      maxTime: high,
    });
    await space.addResult(file, `clean/${name}/date=mixed/r${task}-a${commit}.parquet`, commit, "added");
  }
  await space.sql.run(`UPDATE candidates SET in_file = TRUE WHERE NOT in_file AND EXISTS (
    SELECT 1 FROM temp.best b WHERE b.contract = candidates.contract AND b.id = candidates.id AND ${samePlace("b", "candidates")})`);
}
