import type { ContractProgram } from "@weir/compile";
import { ident, text } from "@weir/compile";
import { failpoint } from "@weir/log";
import { cleanRows } from "../history.ts";
import { compareRows } from "../shadow/compare.ts";
import type { ViewComparison } from "../shadow/compare.ts";
import type { CleanManifest } from "../shadow/manifest.ts";
import { unknownContract } from "../stage.ts";
import type { OutcomeCount } from "../stage.ts";
import type { DeriveContext } from "./derive.ts";
import { samePlace } from "./workspace.ts";
import type { Workspace } from "./workspace.ts";

/** Dates that get files of their own; the rest share one. */
const mostDates = 32;

/** Writes the files that the interval's records are in from now on. */
export async function writeResults(context: DeriveContext): Promise<void> {
  for (const contract of context.host.program.contracts) await writeClean(context, contract);
  await writeQuarantined(context);
  failpoint("engine.task.replay_written");
}

async function writeClean({ space, task }: DeriveContext, contract: ContractProgram): Promise<void> {
  const { name, time } = contract.contract;
  const files = await space.parts("valid", name);
  if (files === undefined) return;
  const { barrier } = await space.interval();
  const query = `SELECT f.* FROM read_parquet(${files}, union_by_name = true, hive_partitioning = false) f WHERE EXISTS (
    SELECT 1 FROM winners w WHERE w.contract = ${text(name)} AND w.source = f._source AND w.writer = f._writer AND w.number = f._number AND w.line = f._line)`;
  const dates = await space.sql.rows<{ day: string; low: string; high: string }>(
    `SELECT ${ident(time)}::DATE::VARCHAR AS day, min(${ident(time)})::VARCHAR AS low, max(${ident(time)})::VARCHAR AS high
     FROM (${query}) GROUP BY 1 ORDER BY count(*) DESC, 1`,
  );
  const own = dates.length <= mostDates ? dates : dates.slice(0, mostDates - 1);
  const rest = dates.slice(own.length);
  const list = own.map(({ day }) => text(day)).join(", ");
  const parts = own.map((one) => ({ ...one, where: `${ident(time)}::DATE = ${text(one.day)}` }));
  const [first] = rest;
  if (first !== undefined) {
    const low = rest.reduce((least, one) => (one.low < least ? one.low : least), first.low);
    const high = rest.reduce((most, one) => (one.high > most ? one.high : most), first.high);
    parts.push({ day: "mixed", low, high, where: `${ident(time)}::DATE NOT IN (${list})` });
  }
  for (const { day, low, high, where } of parts) {
    const path = `clean/${name}/date=${day}/r${task}.parquet`;
    const file = await space.files.write(space.sql, `SELECT * FROM (${query}) WHERE ${where}`, {
      zone: "clean",
      name,
      path,
      minTime: low,
      maxTime: high,
    });
    await space.addResult(file, path, barrier, "interval");
  }
}

async function writeQuarantined({ space, task }: DeriveContext): Promise<void> {
  const files = await space.parts("failed");
  if (files === undefined) return;
  const { barrier, undoes } = await space.interval();
  const stored = `SELECT * FROM read_parquet(${files}, union_by_name = true, hive_partitioning = false)`;
  const again = `SELECT n.*, q.received_commit, (coalesce(q.attempts, 1) + 1)::UINTEGER AS attempts, ${task}::UBIGINT AS task
    FROM (${stored}) n LEFT JOIN quarantined q ON ${samePlace("q", "n")}`;
  const query = undoes === null ? again : stored;
  const { low, high, day } = await space.sql.row<{ low: string; high: string; day: string }>(
    `SELECT min(received_at)::VARCHAR AS low, max(received_at)::VARCHAR AS high, min(received_at)::DATE::VARCHAR AS day FROM (${query})`,
  );
  const path = `quarantine/date=${day}/r${task}.parquet`;
  const file = await space.files.write(space.sql, query, {
    zone: "quarantine",
    name: "",
    path,
    minTime: low,
    maxTime: high,
  });
  await space.addResult(file, path, barrier, "interval");
}

/** The clean zone as it would be, from the live one as of a commit. After `advance` to it. */
export async function shapedManifest(
  { host, space }: DeriveContext,
  live: CleanManifest,
): Promise<CleanManifest> {
  const rows = await space.sql.rows<{ path: string }>("SELECT path FROM rewritten");
  const rewritten = new Set(rows.map(({ path }) => path));
  const results = await space.results("clean");
  const superseded = await space.sql.rows<CleanManifest["superseded"][number]>(
    `SELECT contract, id, source, writer, number::VARCHAR AS number, line::DOUBLE AS line, "commit"::DOUBLE AS "commit" FROM temp.hidden_new`,
  );
  return {
    ...live,
    files: [
      ...live.files.filter(({ path }) => !rewritten.has(path)),
      ...results.map(({ name, path, commit, rows: n, bytes }) => ({
        contract: name,
        path: space.inLake(host.lake, path),
        commit,
        rows: n,
        bytes,
      })),
    ],
    superseded,
  };
}

/**
 * Compares, contract by contract, the live records of the interval with those that are to take their place. Not their contents: what is at
 * one place in the log is one record, and its content another one where it was made before there was a vault, or of a text that is not wholly
 * restored.
 */
export async function compareRecords({ host, space }: DeriveContext): Promise<ViewComparison[]> {
  const found: ViewComparison[] = [];
  const results = await space.results("clean");
  const derived = await space.sql.rows<{ path: string }>("SELECT path FROM results WHERE step = 'interval'");
  const isDerived = new Set(derived.map(({ path }) => path));
  for (const contract of host.program.contracts) {
    const { name } = contract.contract;
    const rows = await space.sql.rows<{ path: string }>(
      `SELECT path FROM rewritten SEMI JOIN live_files f ON f.path = rewritten.path AND f.zone = 'clean' AND f.name = ${text(name)}`,
    );
    const paths = results
      .filter((file) => file.name === name && isDerived.has(file.path))
      .map(({ path }) => space.inLake(host.lake, path));
    if (rows.length + paths.length === 0) continue;
    const place =
      "v.source = c._source AND v.writer = c._writer AND v.number = c._number AND v.line = c._line";
    const of = `v.contract = ${text(name)} AND ${place}`;
    const all = (files: readonly string[]): string =>
      files.length === 0 ? contract.emptyClean : cleanRows(host.lake, contract, files);
    found.push(
      await compareRows(
        space.sql,
        name,
        `SELECT * EXCLUDE (_content) FROM (${all(rows.map(({ path }) => path))}) c WHERE EXISTS (SELECT 1 FROM removed v WHERE NOT v.hidden AND ${of})`,
        `SELECT * EXCLUDE (_content) FROM (${all(paths)}) c WHERE NOT EXISTS (SELECT 1 FROM candidates v WHERE v.hidden_at IS NOT NULL AND ${of})`,
        ["_source", "_writer", "_number", "_line"],
      ),
    );
  }
  return found;
}

/** How the counts of conservation change. After `advance`. */
export async function outcomeChanges(space: Workspace): Promise<OutcomeCount[]> {
  const files = await space.parts("outcomes");
  const lines =
    files === undefined
      ? "SELECT source, writer, number, line, contract, contract AS was, 'v' AS outcome FROM removed LIMIT 0"
      : `SELECT source, writer, number, line, contract, was, outcome FROM read_parquet(${files}, union_by_name = true, hive_partitioning = false)`;
  const parts = [
    ["loaded", 1, "winners"],
    ["loaded", 1, "candidates WHERE in_file AND rank = 3"],
    ["loaded", -1, "removed"],
    ["loaded", -1, "temp.hidden_new"],
    ["loaded", 1, "temp.hidden_live"],
    ["quarantined", 1, `(${lines}) WHERE outcome = 'q'`],
    ["quarantined", -1, "quarantined"],
    ["suppressed", 1, `(${lines}) WHERE outcome = 's'`],
    ["received", 1, `(${lines})`],
    ["received", -1, "removed WHERE NOT hidden"],
    ["received", -1, "quarantined"],
    // What was a duplicate, by the name that it is known by today.
    [
      "received",
      -1,
      `(SELECT * EXCLUDE (contract), was AS contract FROM (${lines})) l WHERE NOT EXISTS (SELECT 1 FROM removed o WHERE NOT o.hidden AND ${samePlace("o", "l")})
         AND NOT EXISTS (SELECT 1 FROM quarantined o WHERE ${samePlace("o", "l")})`,
    ],
  ] as const;
  const union = parts
    .map(
      ([outcome, sign, rows]) =>
        `(SELECT source, coalesce(contract, ${text(unknownContract)}) AS contract, '${outcome}' AS outcome, ${sign} AS n FROM ${rows})`,
    )
    .join(" UNION ALL ");
  const sum = (outcome: string): string => `coalesce(sum(n) FILTER (outcome = '${outcome}'), 0)`;
  return await space.sql.rows<OutcomeCount & Record<string, string | number>>(
    `SELECT * FROM (SELECT source, contract, ${sum("received")}::DOUBLE AS received, ${sum("loaded")}::DOUBLE AS loaded,
       (${sum("received")} - ${sum("loaded")} - ${sum("quarantined")} - ${sum("suppressed")})::DOUBLE AS duplicate,
       ${sum("quarantined")}::DOUBLE AS quarantined, ${sum("suppressed")}::DOUBLE AS suppressed
     FROM (${union}) GROUP BY source, contract)
     WHERE received <> 0 OR loaded <> 0 OR duplicate <> 0 OR quarantined <> 0 OR suppressed <> 0 ORDER BY ALL`,
  );
}
