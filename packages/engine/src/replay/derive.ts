import type { ContractProgram } from "@weir/compile";
import { ident, text } from "@weir/compile";
import { failpoint } from "@weir/log";
import type { Sql } from "../database.ts";
import type { LakeFile } from "../lake.ts";
import { judgeLines, openStaging, quarantinedRows, unknownContract } from "../stage.ts";
import { readStored } from "../stored-lines.ts";
import type { TaskHost } from "../tasks/runner.ts";
import { samePlace } from "./workspace.ts";
import type { Workspace } from "./workspace.ts";

/** A part of a raw file. */
export interface Chunk extends Record<string, string | number> {
  n: number;
  source: string;
  path: string;
  /** Numbers of rows of the file, both included. */
  first: number;
  last: number;
  records: number;
}

export interface DeriveContext {
  readonly host: TaskHost;
  /** A connection that batches could be staged on. */
  readonly sql: Sql;
  readonly space: Workspace;
  readonly task: number;
}

/** Rows of raw files with their `file_row_number`. */
export const rawRows = (host: TaskHost, source: string, path: string): string =>
  `SELECT ${text(source)} AS source, writer, number, line, received_at, contract AS sent, error, text, file_row_number
   FROM read_parquet(${text(host.lake.path(path))}, hive_partitioning = false, file_row_number = true)`;

/** Judges a chunk by the program, and notes that it is done: files of the same names are written again after a crash. */
export async function deriveChunk(context: DeriveContext, chunk: Chunk): Promise<void> {
  const { host, space } = context;
  const { from, until } = await space.interval();
  const query = `SELECT * FROM (${rawRows(host, chunk.source, chunk.path)}) r
    WHERE file_row_number BETWEEN ${chunk.first} AND ${chunk.last}
      AND received_at >= make_timestamp(${from}) AND received_at < make_timestamp(${until})
      AND NOT EXISTS (SELECT 1 FROM db.weir.discarded d WHERE ${samePlace("d", "r")})`;
  const written = await judged(context, query, String(chunk.n), "valid", async () => [
    ["failed", await write(context, `SELECT * FROM (${quarantinedRows})`, `failed/${chunk.n}.parquet`)],
    ["outcomes", await write(context, outcomesOf(chunk), `outcomes/${chunk.n}.parquet`)],
  ]);
  await space.inTransaction(() =>
    space.sql.run(`DELETE FROM parts WHERE chunk = '${chunk.n}';
      ${insertParts(written, String(chunk.n))}
      UPDATE chunks SET done = TRUE WHERE n = ${chunk.n}`),
  );
  failpoint("engine.task.replay_derived");
}

interface Part {
  readonly kind: string;
  readonly contract: string;
  readonly path: string;
}

export const insertParts = (parts: readonly Part[], chunk: string): string =>
  parts
    .map(
      ({ kind, contract, path }) =>
        `INSERT INTO parts VALUES (${text(kind)}, ${text(contract)}, ${text(path)}, ${text(chunk)});`,
    )
    .join("\n");

/**
 * Judges raw rows, and writes those that are valid, by contract.
 *
 * @param kind of the files, which name their directory
 * @param also writes what else is wanted while what was judged is there
 */
export async function judged(
  context: DeriveContext,
  query: string,
  name: string,
  kind: string,
  also: () => Promise<[string, LakeFile][]> = () => Promise.resolve([]),
): Promise<Part[]> {
  const { host, sql, task } = context;
  const schema = `t${task}`;
  await openStaging({ sql, schema });
  await readStored(
    { sql, schema },
    host.vault,
    `SELECT source, writer, number, line, received_at, sent, error, text FROM (${query})`,
  );
  await sql.run(`CREATE TABLE all_lines AS SELECT _key, seg, line, contract AS sent, error FROM lines;
    CREATE TABLE duplicates (_key BIGINT)`);
  const contracts = await judgeLines({ sql, schema }, host);
  const written: Part[] = [];
  for (const program of contracts) {
    const contract = program.contract.name;
    const path = `${kind}/${contract}/${name}.parquet`;
    await sql.run(program.fresh.sql);
    const { rows } = await write(context, program.clean, path);
    if (rows > 0) written.push({ kind, contract, path });
  }
  for (const [other, { path, rows }] of await also())
    if (rows > 0) written.push({ kind: other, contract: "", path });
  await sql.run(`SET search_path = 'memory.main'; DROP SCHEMA memory.${schema} CASCADE`);
  return written;
}

/** Where each line is in the log, what takes it, and whether it is valid (v), failed (q), or of an erased person (s). */
const outcomesOf = ({
  n,
}: Chunk): string => `SELECT ${n}::UBIGINT AS chunk, s.source, s.writer, s.number, a.line, coalesce(r.contract, '${unknownContract}') AS contract,
    coalesce(r.contract, '${unknownContract}') AS was,
    CASE WHEN a._key IN (SELECT _key FROM suppressed_lines) THEN 's' WHEN a._key IN (SELECT _key FROM quarantined) THEN 'q' ELSE 'v' END AS outcome
  FROM all_lines a JOIN segments s USING (seg)
  LEFT JOIN routes r ON a.error IS NULL AND r.seg = a.seg AND r.sent IS NOT DISTINCT FROM a.sent`;

const write = ({ sql, space }: DeriveContext, query: string, path: string): Promise<LakeFile> =>
  space.files.write(sql, query, { zone: "clean", name: "", path, minTime: "", maxTime: "" });

/** What tells a record of the clean zone: of rows in the columns of today. */
export const recordColumns = ({ contract }: ContractProgram): string =>
  `${text(contract.name)} AS contract, ${ident(contract.id)}::VARCHAR AS id, epoch_us(${ident(contract.time)})::BIGINT AS t, _content AS c,
   _source AS source, _writer AS writer, _number AS number, _line AS line`;
