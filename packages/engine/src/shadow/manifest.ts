import { text } from "@weir/compile";
import type { Sql } from "../database.ts";

/** The clean zone of some contracts as of a commit. */
export interface CleanManifest {
  readonly commit: number;
  /** The newest time of receipt, microseconds since the epoch. */
  readonly newestUs: string;
  readonly files: readonly ManifestFile[];
  readonly superseded: readonly Hidden[];
}

export interface ManifestFile extends Record<string, string | number> {
  contract: string;
  path: string;
  commit: number;
  rows: number;
  bytes: number;
}

interface Hidden extends Record<string, string | number> {
  contract: string;
  id: string;
  source: string;
  writer: string;
  number: string;
  line: number;
  commit: number;
}

const list = (names: readonly string[]): string => names.map(text).join(", ") || "NULL";

/** Within a step or a transaction in which the state does not change. */
export async function readManifest(sql: Sql, contracts: readonly string[]): Promise<CleanManifest> {
  const { commit, newest } = await sql.row<{ commit: number; newest: string }>(
    `SELECT coalesce(max("commit"), 0)::DOUBLE AS "commit", coalesce(max(newest_received_us), 0)::VARCHAR AS newest FROM db.weir.commits`,
  );
  const files = await sql.rows<ManifestFile>(
    `SELECT name AS contract, path, "commit"::DOUBLE AS "commit", "rows"::DOUBLE AS "rows", bytes::DOUBLE AS bytes
     FROM db.weir.files WHERE zone = 'clean' AND name IN (${list(contracts)}) ORDER BY "commit", path`,
  );
  const superseded = await sql.rows<Hidden>(
    `SELECT contract, id, source, writer, number::VARCHAR AS number, line::DOUBLE AS line, "commit"::DOUBLE AS "commit"
     FROM db.weir.superseded WHERE contract IN (${list(contracts)})`,
  );
  return { commit, newestUs: newest, files, superseded };
}

const rowsAtOnce = 1_000;

/** Makes a manifest that of another state; within its transaction. */
export async function writeManifest(sql: Sql, manifest: CleanManifest): Promise<void> {
  await sql.run(`DELETE FROM db.weir.files; DELETE FROM db.weir.superseded; DELETE FROM db.weir.commits;
    INSERT INTO db.weir.commits VALUES (${manifest.commit}, now()::TIMESTAMP, 0, 0, ${manifest.newestUs})`);
  const files = manifest.files.map(
    (file) =>
      `('clean', ${text(file.contract)}, ${text(file.path)}, ${file.commit}, ${file.rows}, ${file.bytes}, 0, NULL, NULL)`,
  );
  const hidden = manifest.superseded.map(
    (one) =>
      `(${text(one.contract)}, ${text(one.id)}, ${text(one.source)}, ${text(one.writer)}, ${one.number}, ${one.line}, ${one.commit})`,
  );
  for (const [table, rows] of [
    ["files", files],
    ["superseded", hidden],
  ] as const) {
    for (let at = 0; at < rows.length; at += rowsAtOnce)
      await sql.run(`INSERT INTO db.weir.${table} VALUES ${rows.slice(at, at + rowsAtOnce).join(", ")}`);
  }
}
