import { copyFileSync, linkSync, mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import type { TableProgram } from "@weir/compile";
import { text } from "@weir/compile";
import type { Sql } from "../database.ts";
import { syncPaths } from "../durable.ts";
import { leaveOut } from "../erase/schema.ts";
import { manifestValues } from "../lake.ts";
import type { LakeFile } from "../lake.ts";
import { forgetBeside, swapIn } from "../shadow/swap.ts";
import type { OutcomeCount } from "../stage.ts";
import type { DeriveContext } from "./derive.ts";
import type { ReplayedIds } from "./ids.ts";
import type { ResultFile } from "./workspace.ts";

const asLakeFile = (file: ResultFile): LakeFile => ({
  zone: file.zone as LakeFile["zone"],
  name: file.name,
  path: file.final,
  rows: file.rows,
  bytes: file.bytes,
  crc32: file.crc32,
  minTime: file.low,
  maxTime: file.high,
});

/** Puts files of a replay into the lake, where they count once the manifest lists them; durably. */
export async function placeFiles(
  { host, space }: DeriveContext,
  results: readonly ResultFile[],
): Promise<void> {
  const { lake } = host;
  for (const { path, final } of results) {
    const [from, target] = [space.files.path(path), lake.path(final)];
    mkdirSync(dirname(target), { recursive: true });
    rmSync(target, { force: true });
    try {
      linkSync(from, target);
    } catch {
      // The lake may be on another file system.
      copyFileSync(from, target);
      await syncPaths([target]);
    }
  }
  await lake.syncDirectories(results.map(asLakeFile));
}

export function removePlaced({ host }: DeriveContext, results: readonly ResultFile[]): void {
  for (const { final } of results) rmSync(host.lake.path(final), { force: true });
}

/** Everything that the commit of a swap writes. */
export interface SwapPlan {
  readonly task: number;
  readonly tables: readonly TableProgram[];
  /** The commit that the copied tables are of. */
  readonly after: number;
  readonly contracts: readonly string[];
  readonly results: readonly ResultFile[];
  /** Live files whose place they take. */
  readonly replaced: readonly string[];
  /** Rows of `superseded`, as values. */
  readonly hidden: readonly string[];
  readonly counts: readonly OutcomeCount[];
  readonly ids: ReplayedIds;
}

/** The live state as the replay has it, within the commit's transaction. @throws FailedTable */
export async function swapReplay(
  sql: Sql,
  { program, lake }: DeriveContext["host"],
  plan: SwapPlan,
  commit: number,
): Promise<void> {
  const { task, tables, after, contracts, results, replaced, hidden, counts, ids } = plan;
  const names = contracts.map(text).join(", ") || "NULL";
  await sql.run(`DELETE FROM db.weir.files WHERE path IN (${replaced.map(text).join(", ") || "NULL"});
    DELETE FROM db.weir.superseded WHERE contract IN (${names});
    ${ids.run?.sql ?? ""}
    INSERT INTO db.weir.id_recent SELECT h0, h1, h2, h3, t, content, ${commit} FROM ${ids.recent}`);
  await fill(
    sql,
    "db.weir.files",
    results.map((file) => manifestValues(asLakeFile(file), file.commit)),
  );
  await fill(sql, "db.weir.superseded", hidden);
  await writeCounts(sql, commit, counts);
  await sql.run(
    leaveOut(
      "raw",
      counts.reduce((sum, { suppressed }) => sum + suppressed, 0),
    ),
  );
  if (tables.length > 0) await swapIn(sql, { program, lake, tables }, task, after, commit);
  await forgetBeside(sql, "A replay changed records that it was made of meanwhile. Ask for it again.", task);
}

async function fill(sql: Sql, table: string, values: readonly string[]): Promise<void> {
  for (let at = 0; at < values.length; at += 1_000)
    await sql.run(`INSERT INTO ${table} VALUES ${values.slice(at, at + 1_000).join(", ")}`);
}

async function writeCounts(sql: Sql, commit: number, counts: readonly OutcomeCount[]): Promise<void> {
  if (counts.length === 0) return;
  const values = counts.map(
    (c) =>
      `(${text(c.source)}, ${text(c.contract)}, ${c.received}, ${c.loaded}, ${c.duplicate}, ${c.quarantined}, ${c.suppressed})`,
  );
  const list = `(VALUES ${values.join(", ")}) s(source, contract, received, loaded, duplicate, quarantined, suppressed)`;
  await sql.run(`MERGE INTO db.weir.counts t USING ${list} ON t.source = s.source AND t.contract = s.contract
      WHEN MATCHED THEN UPDATE SET received = t.received + s.received, loaded = t.loaded + s.loaded,
        duplicate = t.duplicate + s.duplicate, quarantined = t.quarantined + s.quarantined, suppressed = t.suppressed + s.suppressed
      WHEN NOT MATCHED THEN INSERT VALUES (s.source, s.contract, s.received, s.loaded, s.duplicate, s.quarantined, s.suppressed);
    INSERT INTO db.weir.commit_counts SELECT ${commit}, * FROM ${list}`);
}
