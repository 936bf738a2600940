import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { ContractProgram } from "@weir/compile";
import { text } from "@weir/compile";
import { WeirError } from "@weir/contract";
import type { Sql } from "../database.ts";
import { cleanRows } from "../history.ts";
import { unknownContract } from "../stage.ts";
import { readTask } from "../tasks/ledger.ts";
import type { NewTask, TaskInfo } from "../tasks/ledger.ts";
import { quarantineRows } from "../tasks/quarantine-files.ts";
import type { ReplayResult } from "../tasks/replay-task.ts";
import type { TaskHost, TaskRun } from "../tasks/runner.ts";
import { edgesOf } from "../tasks/shadow-run.ts";
import { begin } from "./begin.ts";
import { insertParts, recordColumns } from "./derive.ts";
import type { DeriveContext } from "./derive.ts";
import { programHash } from "./request.ts";
import { Workspace, samePlace } from "./workspace.ts";

/**
 * Undoing a replay is a replay whose records are not judged again: they are what they were before it. What the replay noted of that is in its directory, which
 * stays for as long as it can be undone: rows of the interval as the clean zone and the quarantine had them; rows from outside
 * whose place it may have taken; and every place that was judged. All else is as with any replay: ids are decided with
 * what came since, tables are built beside, and one commit swaps.
 */
export async function undoReplayTask(
  sql: Sql,
  host: TaskHost,
  undone: TaskInfo,
  actor: string,
): Promise<NewTask> {
  const { id, state, arguments: args, target, progress } = undone;
  const no = (why: string): WeirError =>
    new WeirError("task_not_ready", `Task ${id} cannot be undone: ${why}`, { where: `task ${id}` });
  const result = undone.result as ReplayResult | null;
  if (state !== "done") throw no(`it is a replay that is ${state}.`);
  if (args["undo"] !== undefined) throw no("it undid another replay; ask for that one again.");
  if (result === null) throw no("a person was erased or another replay was swapped since.");
  if (args["program"] !== programHash(host.program)) throw no("the project has changed since.");
  if (!existsSync(join(host.shadowDirectory(id), "replay.duckdb")))
    throw no("what was before it is not kept any more.");
  const contracts = host.program.contracts.map(({ contract }) => contract.name);
  if ((await edgesOf(sql, contracts)) !== args["edges"])
    throw no("retention removed records of the clean zone since.");
  const { from = null, to = null, before = null, program = "", edges = "[]" } = args;
  return {
    kind: "replay",
    target: `undoing task ${id} (${target})`,
    arguments: { undo: id, from, to: to ?? before, swap: "always", share: 1, program, edges },
    actor,
    progress: { ...progress, done: 0, busyMs: 0 },
  };
}

/** Removes from the directory of a replay that is swapped what undoing it does not need. */
export function keepForUndo(directory: string): void {
  for (const name of ["weir.duckdb", "tmp", "files/valid", "files/failed", "files/dups", "files/rest"])
    rmSync(join(directory, name), { recursive: true, force: true });
}

/** In place of judging: what the records of a replay were before it. @throws WeirError `task_disturbed` */
export async function beginUndo(context: DeriveContext, run: TaskRun, undone: number): Promise<void> {
  const { host, sql, space } = context;
  const { state, result } = await readTask(sql, undone);
  if (state !== "done" || result === null)
    throw new WeirError("task_disturbed", `Task ${undone} cannot be undone any more.`);
  const old = await Workspace.open(host.shadowDirectory(undone), host.memoryLimit);
  try {
    const discarded = await sql.rows<Record<string, string>>(
      `SELECT source, writer, number::VARCHAR AS number, line::VARCHAR AS line FROM db.weir.discarded WHERE task > ${undone}`,
    );
    await old.sql.run("CREATE OR REPLACE TEMP TABLE discarded AS FROM places LIMIT 0");
    await old.fill(
      "temp.discarded",
      discarded.map((row) => `(${Object.values(row).map(text).join(", ")})`),
    );
    const { from, until } = await old.interval();
    if ((await space.phase()) === undefined) await begin(run, sql, space, { from, until }, undefined);
    const parts: Part[] = [];
    for (const contract of host.program.contracts) parts.push(...(await writeBefore(context, old, contract)));
    parts.push(...(await writeFailed(context, old)), await writeOutcomes(context, old, parts));
    const outcomes = text(space.files.path("outcomes/undo.parquet"));
    await space.inTransaction(() =>
      space.sql.run(`${insertParts(parts, "undo")}
        INSERT INTO places SELECT source, writer, number, line FROM read_parquet(${outcomes});
        UPDATE replay SET undoes = ${undone}, phase = 'live'`),
    );
  } finally {
    await old.close();
  }
}

type Part = Parameters<typeof insertParts>[0][number];

const notDiscarded = (row: string, prefix = ""): string =>
  `NOT EXISTS (SELECT 1 FROM temp.discarded d WHERE d.source = ${row}.${prefix}source AND d.writer = ${row}.${prefix}writer
     AND d.number = ${row}.${prefix}number AND d.line = ${row}.${prefix}line)`;

/** Rows as the clean zone had them; those from outside as well. */
async function writeBefore(
  { host, space }: DeriveContext,
  old: Workspace,
  contract: ContractProgram,
): Promise<Part[]> {
  const { name } = contract.contract;
  const rows = await old.sql.rows<{ path: string }>(
    `SELECT path FROM parts WHERE kind = 'before' AND contract = ${text(name)} ORDER BY path`,
  );
  // By what is there: the last of them was written in the swap, of which the workspace keeps nothing.
  const directory = old.files.path(`outside/${name}`);
  const outside = (existsSync(directory) ? readdirSync(directory) : [])
    .filter((file) => file.endsWith(".parquet"))
    .toSorted()
    .map((file) => `outside/${name}/${file}`);
  const all = (paths: readonly string[]): string =>
    paths.length === 0
      ? contract.emptyClean
      : cleanRows(
          host.lake,
          contract,
          paths.map((path) => old.inLake(host.lake, path)),
        );
  const written: Part[] = [];
  const place = "o.source = r._source AND o.writer = r._writer AND o.number = r._number AND o.line = r._line";
  for (const [which, query] of [
    [
      "own",
      `SELECT r.* FROM (${all(rows.map(({ path }) => path))}) r WHERE EXISTS (SELECT 1 FROM removed o
       WHERE NOT o.hidden AND o.contract = ${text(name)} AND ${place}) AND ${notDiscarded("r", "_")}`,
    ],
    ["outside", `SELECT DISTINCT ON (_source, _writer, _number, _line) r.* FROM (${all(outside)}) r`],
  ] as const) {
    const path = `valid/${name}/undo-${which}.parquet`;
    const { rows: n } = await space.files.write(old.sql, query, {
      zone: "clean",
      name,
      path,
      minTime: "",
      maxTime: "",
    });
    if (n > 0) written.push({ kind: "valid", contract: name, path });
  }
  return written;
}

async function writeFailed({ host, space }: DeriveContext, old: Workspace): Promise<Part[]> {
  const rows = await old.sql.rows<{ path: string }>(
    "SELECT path FROM parts WHERE kind = 'before_failed' ORDER BY path",
  );
  const paths = rows.map(({ path }) => old.inLake(host.lake, path));
  const query = `SELECT r.* EXCLUDE (filename) FROM (${quarantineRows(host.lake, paths)}) r WHERE ${notDiscarded("r")}`;
  const path = "failed/undo.parquet";
  const { rows: n } = await space.files.write(old.sql, query, {
    zone: "quarantine",
    name: "",
    path,
    minTime: "",
    maxTime: "",
  });
  return n === 0 ? [] : [{ kind: "failed", contract: "", path }];
}

/** What each record was, and what it was counted under since. */
async function writeOutcomes(
  { host, space }: DeriveContext,
  old: Workspace,
  before: readonly Part[],
): Promise<Part> {
  const files = await old.parts("outcomes");
  const judged =
    files === undefined
      ? "SELECT source, writer, number, line, contract, 'v' AS outcome FROM removed LIMIT 0"
      : `SELECT source, writer, number, line, contract, outcome FROM read_parquet(${files}, union_by_name = true, hive_partitioning = false)`;
  const outside = host.program.contracts.flatMap((contract) => {
    const paths = before.filter((part) => part.kind === "valid" && part.contract === contract.contract.name);
    return paths.map(
      ({ path }) =>
        `SELECT 0::UBIGINT AS chunk, source, writer, number, line, contract, contract AS was, 'v' AS outcome
         FROM (SELECT ${recordColumns(contract)} FROM read_parquet(${text(space.files.path(path))})) v
         WHERE NOT EXISTS (SELECT 1 FROM (${judged}) l WHERE ${samePlace("l", "v")})`,
    );
  });
  const query = `SELECT 0::UBIGINT AS chunk, l.source, l.writer, l.number, l.line,
      coalesce(o.contract, q.contract, CASE WHEN q.line IS NOT NULL THEN ${text(unknownContract)} END, l.contract) AS contract,
      l.contract AS was, CASE WHEN q.line IS NOT NULL THEN 'q' ELSE 'v' END AS outcome
    FROM (${judged}) l LEFT JOIN (SELECT * FROM removed WHERE NOT hidden) o ON ${samePlace("o", "l")}
    LEFT JOIN quarantined q ON ${samePlace("q", "l")} WHERE l.outcome <> 's' AND ${notDiscarded("l")}`;
  const path = "outcomes/undo.parquet";
  await space.files.write(old.sql, [query, ...outside].map((one) => `(${one})`).join(" UNION ALL "), {
    zone: "clean",
    name: "",
    path,
    minTime: "",
    maxTime: "",
  });
  return { kind: "outcomes", contract: "", path };
}
