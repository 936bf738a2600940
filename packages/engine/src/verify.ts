import type { Invariant, Program } from "@weir/compile";
import { ident, text } from "@weir/compile";
import { storedAside } from "./aside.ts";
import type { Aside } from "./aside.ts";
import type { Database, Sql } from "./database.ts";
import { cleanHistory } from "./history.ts";
import type { Lake } from "./lake.ts";
import type { ReplacedFiles } from "./replaced-files.ts";

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** What was found, in one line. */
  readonly detail: string;
}

export interface VerifyReport {
  readonly ok: boolean;
  /** The commit whose state was checked. */
  readonly commit: number;
  readonly checks: readonly Check[];
}

/**
 * Checks the invariants that a running system can be asked about, on the state of one commit: conservation, unique
 * ids, that every file of the manifest holds the bytes and rows that were written, and that zones add up.
 */
export async function verifyState(
  database: Database,
  { lake, replaced }: { readonly lake: Lake; readonly replaced: ReplacedFiles },
  program: Program,
): Promise<VerifyReport> {
  const release = replaced.hold();
  const sql = await database.connect();
  try {
    await sql.run("BEGIN TRANSACTION READ ONLY");
    const { commit } = await sql.row<{ commit: number }>(
      `SELECT coalesce(max("commit"), 0)::DOUBLE AS "commit" FROM db.weir.commits`,
    );
    const checks = [
      await conservation(sql),
      await commitsAddUp(sql),
      await filesIntact(sql, lake),
      ...(await zonesAddUp(sql)),
    ];
    for (const { contract } of program.contracts)
      checks.push(await uniqueIds(sql, lake, program, contract.name));
    for (const { name, key } of program.tables) checks.push(await uniqueKeys(sql, name, key));
    for (const { invariants = [] } of program.tables)
      for (const invariant of invariants) checks.push(await holds(sql, invariant));
    const aside = await storedAside(sql);
    if (aside.size > 0) checks.push(notUpToDate(aside));
    for (const { name, recomputed } of program.tables)
      if (recomputed !== undefined && !aside.has(name)) checks.push(await sameAsWhole(sql, name, recomputed));
    return { ok: checks.every(({ ok }) => ok), commit, checks };
  } finally {
    await sql.run("ROLLBACK").catch(() => undefined);
    sql.close();
    release();
  }
}

async function conservation(sql: Sql): Promise<Check> {
  const [total] = await sql.rows<Record<string, number>>(
    `SELECT coalesce(sum(received), 0)::DOUBLE AS received, coalesce(sum(loaded), 0)::DOUBLE AS loaded,
       coalesce(sum(duplicate), 0)::DOUBLE AS duplicate, coalesce(sum(quarantined), 0)::DOUBLE AS quarantined,
       coalesce(sum(suppressed), 0)::DOUBLE AS suppressed,
       count(*) FILTER (WHERE received <> loaded + duplicate + quarantined + suppressed)::DOUBLE AS broken
     FROM db.weir.counts`,
  );
  const {
    received = 0,
    loaded = 0,
    duplicate = 0,
    quarantined = 0,
    suppressed = 0,
    broken = 0,
  } = total ?? {};
  return {
    name: "conservation",
    ok: broken === 0,
    detail: `${received} received = ${loaded} loaded + ${duplicate} duplicate + ${quarantined} quarantined + ${suppressed} suppressed`,
  };
}

async function commitsAddUp(sql: Sql): Promise<Check> {
  const { commits, distinct, last, records, received } = await sql.row<Record<string, number>>(
    `SELECT count(*)::DOUBLE AS commits, count(DISTINCT "commit")::DOUBLE AS "distinct",
       coalesce(max("commit"), 0)::DOUBLE AS last, coalesce(sum(records), 0)::DOUBLE AS records,
       (SELECT coalesce(sum(received), 0)::DOUBLE FROM db.weir.counts) AS received
     FROM db.weir.commits`,
  );
  const ok = commits === distinct && commits === last && records === received;
  return { name: "commits", ok, detail: `${commits} commits without a gap, ${records} records` };
}

async function filesIntact(sql: Sql, lake: Lake): Promise<Check> {
  const files = await sql.rows<{ path: string; bytes: number; crc: number; rows: number }>(
    `SELECT path, bytes::DOUBLE AS bytes, crc32::DOUBLE AS crc, "rows"::DOUBLE AS "rows" FROM db.weir.files`,
  );
  const twice = files.length - new Set(files.map(({ path }) => path)).size;
  let damaged: string | undefined;
  for (const { path, bytes, crc } of files) {
    try {
      lake.check({ path, bytes, crc32: crc });
    } catch {
      damaged ??= path;
    }
  }
  const wrong =
    files.length === 0
      ? []
      : await sql
          .rows<{ path: string }>(
            `SELECT file_name AS path FROM parquet_file_metadata([${files.map(({ path }) => text(lake.path(path))).join(", ")}]) m
     JOIN db.weir.files f ON m.file_name = ${text(`${lake.root}/`)} || f.path WHERE m.num_rows <> f."rows"`,
          )
          .catch(() => [{ path: damaged ?? "unreadable" }]);
  const bad = damaged ?? wrong[0]?.path;
  return {
    name: "files",
    ok: bad === undefined && twice === 0,
    detail:
      bad === undefined
        ? `${files.length} files have their bytes, checksums and rows`
        : `damaged or missing: ${bad}`,
  };
}

/** Rows of each zone against what conservation says they are. */
async function zonesAddUp(sql: Sql): Promise<Check[]> {
  const rows = await sql.rows<{ zone: string; rows: number }>(
    `SELECT zone, sum("rows")::DOUBLE AS "rows" FROM (
       SELECT zone, "rows" FROM db.weir.files UNION ALL SELECT 'removed ' || zone, "rows" FROM db.weir.removed) GROUP BY zone`,
  );
  const of = (zone: string): number => rows.find((row) => row.zone === zone)?.rows ?? 0;
  const { received, loaded, quarantined, superseded, left } = await sql.row<Record<string, number>>(
    `SELECT coalesce(sum(received), 0)::DOUBLE AS received, coalesce(sum(loaded), 0)::DOUBLE AS loaded,
       coalesce(sum(quarantined), 0)::DOUBLE AS quarantined,
       (SELECT count(*)::DOUBLE FROM db.weir.superseded) AS superseded,
       (SELECT coalesce(sum("rows"), 0)::DOUBLE FROM db.weir.left_out WHERE zone = 'raw') AS left FROM db.weir.counts`,
  );
  const check = (name: string, found: number, wanted = 0): Check => {
    const removed = of(`removed ${name.split(" ")[0]}`);
    const told = removed === 0 ? "" : ` and ${removed} removed by retention`;
    return { name, ok: found + removed === wanted, detail: `${found} rows${told}, ${wanted} expected` };
  };
  return [
    check("raw zone", of("raw"), (received ?? 0) - (left ?? 0)),
    check("clean zone", of("clean") - (superseded ?? 0), loaded),
    check("quarantine", of("quarantine"), quarantined),
  ];
}

async function uniqueIds(sql: Sql, lake: Lake, program: Program, name: string): Promise<Check> {
  const contract = program.contracts.find((candidate) => candidate.contract.name === name);
  if (contract === undefined) throw new Error(`unreachable: no contract ${name}`);
  const { rows, ids, loaded } = await sql.row<{ rows: number; ids: number; loaded: number }>(
    `SELECT count(*)::DOUBLE AS "rows", count(DISTINCT ${ident(contract.contract.id)})::DOUBLE AS ids,
       (SELECT coalesce(sum(loaded), 0)::DOUBLE FROM db.weir.counts WHERE contract = ${text(name)})
         - (SELECT coalesce(sum("rows"), 0)::DOUBLE FROM db.weir.removed WHERE zone = 'clean' AND contract = ${text(name)}) AS loaded
     FROM (${await cleanHistory(sql, lake, contract)})`,
  );
  const ok = rows === ids && rows === loaded;
  return { name: `unique ids of ${name}`, ok, detail: `${rows} rows, ${ids} ids, ${loaded} loaded` };
}

/** Whether no two rows of a table have one key; the view shows what users see. */
async function uniqueKeys(sql: Sql, name: string, key: readonly string[]): Promise<Check> {
  const group = key.length === 0 ? "1" : key.map(ident).join(", ");
  const { rows, keys } = await sql.row<{ rows: number; keys: number }>(
    `SELECT (SELECT count(*)::DOUBLE FROM db.main.${ident(name)}) AS "rows",
       (SELECT count(*)::DOUBLE FROM (SELECT 1 FROM db.main.${ident(name)} GROUP BY ${group})) AS keys`,
  );
  return { name: `keys of ${name}`, ok: rows === keys, detail: `${rows} rows, ${keys} keys` };
}

async function holds(sql: Sql, { name, breaches }: Invariant): Promise<Check> {
  const { n } = await sql.row<{ n: number }>(`SELECT count(*)::DOUBLE AS n FROM (${breaches})`);
  return { name, ok: n === 0, detail: n === 0 ? "holds" : `does not hold in ${n} cases` };
}

function notUpToDate(aside: Aside): Check {
  const told = [...aside].map(([name, reason]) => `${name} is set aside: ${reason.split("\n")[0]}`);
  return { name: "tables", ok: false, detail: told.join(" ") };
}

/** Whether what was brought up to date batch by batch is what the inputs give as they stand. */
async function sameAsWhole(sql: Sql, name: string, recomputed: string): Promise<Check> {
  const view = `SELECT * FROM db.main.${ident(name)}`;
  const { rows, differ } = await sql.row<{ rows: number; differ: number }>(
    `SELECT (SELECT count(*)::DOUBLE FROM (${view})) AS "rows", (SELECT count(*)::DOUBLE FROM (
       ((${view}) EXCEPT ALL (${recomputed})) UNION ALL ((${recomputed}) EXCEPT ALL (${view})))) AS differ`,
  );
  const detail =
    differ === 0
      ? `${rows} rows, as its SQL gives them over its whole inputs`
      : `${differ} rows are not as its SQL gives them over its whole inputs: its rows of a key depend on rows of other ` +
        `keys, which "keys" does not tell`;
  return { name: `rows of ${name}`, ok: differ === 0, detail };
}
