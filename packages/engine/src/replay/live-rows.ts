import { dirname } from "node:path";
import type { ContractProgram } from "@weir/compile";
import { keyedContent, text } from "@weir/compile";
import { failpoint } from "@weir/log";
import { cleanRows } from "../history.ts";
import type { Lake } from "../lake.ts";
import { quarantineRows } from "../tasks/quarantine-files.ts";
import { insertParts, recordColumns } from "./derive.ts";
import type { DeriveContext } from "./derive.ts";
import { samePlace } from "./workspace.ts";
import type { Workspace } from "./workspace.ts";

interface LiveFile extends Record<string, string | number> {
  zone: "raw" | "clean" | "quarantine";
  name: string;
  path: string;
  commit: number;
  low: string;
  high: string;
}

/** Files whose rows are looked for at a time. */
const filesAtOnce = 64;

/** Lines of the interval that turned out to be of erased persons. */
export async function suppressedLines(space: Workspace): Promise<string> {
  const files = await space.parts("outcomes");
  const columns = "chunk, source, writer, number, line, contract";
  return files === undefined
    ? "SELECT n AS chunk, source, '' AS writer, 0 AS number, 0 AS line, '' AS contract FROM chunks LIMIT 0"
    : `SELECT ${columns} FROM read_parquet(${files}, union_by_name = true, hive_partitioning = false) WHERE outcome = 's'`;
}

/**
 * Live files of the clean zone and the quarantine that have rows of the interval, and those of raw that have records of erased persons,
 * which nobody could know when they were received; less those that were written again.
 */
export async function filesToRewrite(space: Workspace, lake: Lake): Promise<LiveFile[]> {
  const left = await space.sql.rows<LiveFile>(
    `SELECT zone, name, path, "commit"::DOUBLE AS "commit", low, high FROM live_files
     WHERE zone <> 'raw' AND path NOT IN (FROM rewritten) ORDER BY zone, "commit", path`,
  );
  const found = await space.sql.rows<LiveFile>(
    `SELECT zone, name, path, "commit"::DOUBLE AS "commit", low, high FROM live_files f
     WHERE zone = 'raw' AND path NOT IN (FROM rewritten) AND EXISTS (
       SELECT 1 FROM chunks c JOIN (${await suppressedLines(space)}) s ON s.chunk = c.n WHERE c.path = f.path) ORDER BY "commit", path`,
  );
  for (const zone of ["clean", "quarantine"] as const) {
    const files = left.filter((file) => file.zone === zone);
    for (let at = 0; at < files.length; at += filesAtOnce) {
      const some = files.slice(at, at + filesAtOnce);
      const list = some.map(({ path }) => text(lake.path(path))).join(", ");
      const rows = await space.sql.rows<{ file: string }>(
        `SELECT DISTINCT filename AS file FROM read_parquet([${list}], union_by_name = true, hive_partitioning = false, filename = true) r
         WHERE ${await space.ofReplay(zone, "r")}`,
      );
      const paths = new Set(rows.map(({ file }) => file));
      found.push(...some.filter(({ path }) => paths.has(lake.path(path))));
    }
  }
  return found;
}

/** Writes a live file again without its rows of the interval, or of erased persons, and notes what those were. */
export async function rewrite({ host, space, task }: DeriveContext, file: LiveFile): Promise<void> {
  const { lake, program } = host;
  const { undoes } = await space.interval();
  const { zone, name, path, low, high, commit } = file;
  const of =
    zone === "raw"
      ? `EXISTS (SELECT 1 FROM (${await suppressedLines(space)}) s WHERE s.source = ${text(name)} AND s.writer = r.writer AND s.number = r.number AND s.line = r.line)`
      : await space.ofReplay(zone, "r");
  const base = path.slice(dirname(path).length + 1);
  const kept = await space.files.write(
    space.sql,
    `SELECT * FROM read_parquet(${text(lake.path(path))}, hive_partitioning = false) r WHERE NOT (${of})`,
    { zone, name, path: `rest/${path}`, minTime: low, maxTime: high },
  );
  const part = {
    kind: zone === "clean" ? "before" : "before_failed",
    contract: name,
    path: `before/${path}`,
  };
  // What it was, for undoing this.
  if (zone !== "raw" && undoes === null)
    await space.files.write(
      space.sql,
      `SELECT * FROM read_parquet(${text(lake.path(path))}, hive_partitioning = false) r WHERE ${of}`,
      { zone, name, path: part.path, minTime: low, maxTime: high },
    );
  const contract = program.contracts.find((one) => one.contract.name === name);
  const notes = {
    raw: () => "SELECT 1",
    clean: () => removedRows(lake, contract, path, of),
    quarantine: () => quarantinedOf(lake, path, of),
  }[zone]();
  await space.inTransaction(async () => {
    await space.sql.run(`${notes}; INSERT INTO rewritten VALUES (${text(path)});
      ${zone !== "raw" && undoes === null ? insertParts([part], "before") : ""}`);
    await space.addResult(kept, `${dirname(path)}/r${task}-${base}`, commit, "rest");
  });
  failpoint("engine.task.replay_rewritten");
}

function removedRows(lake: Lake, contract: ContractProgram | undefined, path: string, of: string): string {
  if (contract === undefined) throw new Error(`unreachable: ${path} is of no contract of the project`);
  return `INSERT INTO removed SELECT r.*, EXISTS (SELECT 1 FROM live_hidden h WHERE h.contract = r.contract AND ${samePlace("h", "r")})
    FROM (SELECT ${recordColumns(contract)} FROM (${cleanRows(lake, contract, [path])}) r WHERE ${of}) r`;
}

const quarantinedOf = (lake: Lake, path: string, of: string): string =>
  `INSERT INTO quarantined SELECT source, writer, number, line, contract, received_commit, attempts
   FROM (${quarantineRows(lake, [path])}) r WHERE ${of}`;

/** `winners` and `affected`, and what of `affected` the interval itself has to say. Once every live file was written again. */
export async function judgeIds(space: Workspace, contracts: readonly ContractProgram[]): Promise<void> {
  const valid: string[] = [];
  for (const contract of contracts) {
    const files = await space.parts("valid", contract.contract.name);
    if (files !== undefined)
      valid.push(
        `SELECT ${recordColumns(contract)} FROM read_parquet(${files}, union_by_name = true, hive_partitioning = false)`,
      );
  }
  const none = "SELECT contract, id, t, c, source, writer, number, line FROM removed LIMIT 0";
  await space.sql.run(`CREATE OR REPLACE TABLE winners AS
    SELECT v.* FROM (${[none, ...valid].map((one) => `(${one})`).join(" UNION ALL ")}) v
    LEFT JOIN removed o ON NOT o.hidden AND o.contract = v.contract AND o.id = v.id AND ${samePlace("o", "v")}
    QUALIFY row_number() OVER (PARTITION BY v.contract, v.id
      ORDER BY v.t, v.c, o.line IS NULL, v.source, v.writer, v.number, v.line) = 1;
    CREATE OR REPLACE TABLE affected AS
    SELECT coalesce(w.contract, o.contract) AS contract, coalesce(w.id, o.id) AS id,
      bool_or(o.id IS NOT NULL AND (w.id IS NULL OR w.t > o.t OR (w.t = o.t AND w.c > o.c AND w.c <> ${keyedContent("o.c")}))) AS vanished
    FROM winners w FULL JOIN (SELECT * FROM removed WHERE NOT hidden) o ON o.contract = w.contract AND o.id = w.id
    WHERE NOT coalesce(w.t = o.t AND w.c = o.c AND ${samePlace("w", "o")}, FALSE) GROUP BY ALL;
    DELETE FROM candidates;
    INSERT INTO candidates SELECT w.*, 1, TRUE, TRUE, NULL FROM winners w SEMI JOIN affected USING (contract, id)`);
}
