import type { TableProgram } from "@weir/compile";
import { WeirError } from "@weir/contract";
import { failpoint } from "@weir/log";
import type { Sql } from "../database.ts";
import { setBarrier } from "../shadow/barriers.ts";
import { compareTables } from "../shadow/compare.ts";
import type { ViewComparison } from "../shadow/compare.ts";
import { readManifest } from "../shadow/manifest.ts";
import type { CleanManifest } from "../shadow/manifest.ts";
import type { Shadow } from "../shadow/shadow.ts";
import { shadowCatalog, withShadow } from "../shadow/swap.ts";
import { progressSql } from "./ledger.ts";
import type { TaskProgress } from "./ledger.ts";
import { pauseAfter } from "./runner.ts";
import type { TaskRun } from "./runner.ts";

/** Rounds of catching up before the swap, at most; each is as long as what came in during the one before. */
const mostRounds = 20;
/** A round that is not shorter by this than the one before is the last. */
const closing = 0.7;

/** When the built tables take the place of the live ones: when somebody says so, if they are the same, or in any case. */
export type SwapWhen = "asked" | "same" | "always";

/** A task that builds tables beside the live ones; what a run of it has at hand. */
export interface ShadowWork {
  readonly run: TaskRun;
  readonly sql: Sql;
  readonly tables: readonly TableProgram[];
  /** Whose clean zone it reads. */
  readonly contracts: readonly string[];
  readonly chunkRows: number;
  /** What had been erased when it began. */
  readonly suppressed: number;
  /** The clean zone that the tables are built from, where it is another than the live one as of the same commit. */
  readonly shaped?: (live: CleanManifest) => Promise<CleanManifest>;
  progress: TaskProgress;
  isSaving?: boolean;
  saved?: Promise<void>;
  edges?: string;
}

/** Whether the tables are built; not if it was told to stop. */
export async function buildTables(work: ShadowWork, shadow: Shadow): Promise<boolean> {
  const { run } = work;
  const { signal } = run;
  if ((await shadow.position()) === undefined) await shadow.begin(await moveBarrier(work));
  const { steps, rows: total } = await shadow.work();
  for (;;) {
    const position = await shadow.position();
    if (position === undefined || position.built) return true;
    if (signal.aborted) return false;
    const from = performance.now();
    await shadow.build(steps, position.step);
    const manifest = await shadow.manifest();
    const paths = steps[position.step]?.paths ?? [];
    const rows = manifest.files.reduce((sum, file) => sum + (paths.includes(file.path) ? file.rows : 0), 0);
    work.progress = grown(work.progress, rows, total, performance.now() - from);
    saveProgress(work);
    await pauseAfter(performance.now() - from, shareOf(run), signal);
  }
}

/** Notes the progress when nothing else writes state, without waiting for that. */
export function saveProgress(work: ShadowWork): void {
  if (work.isSaving === true) return;
  work.isSaving = true;
  const { run, sql } = work;
  const saved = run.host.exclusive(async () => {
    work.isSaving = false;
    await sql.run(progressSql(run.task.id, work.progress));
  });
  // The engine says why it broke.
  saved.catch(() => undefined);
  work.saved = saved;
}

/** Moves the barrier to the last commit and gives the clean zone as of there. @throws WeirError `task_disturbed` */
export async function moveBarrier(work: ShadowWork): Promise<CleanManifest> {
  const { run, sql, contracts } = work;
  let manifest: CleanManifest | undefined;
  let edges = "";
  await run.host.exclusive(async () => {
    manifest = await readManifest(sql, contracts);
    edges = await edgesOf(sql, contracts);
    await sql.run(setBarrier(run.task.id, manifest.commit, true));
  });
  failpoint("engine.task.shadow_barrier");
  const before = work.edges ?? run.task.arguments["edges"];
  if (manifest === undefined || edges !== before)
    throw disturbed("Retention removed records that the tables were built from since it was asked for.");
  work.edges = edges;
  return (await work.shaped?.(manifest)) ?? manifest;
}

/** Brings the tables close to the last commit. */
export async function catchUpTables(work: ShadowWork, shadow: Shadow): Promise<void> {
  const { run } = work;
  let before = Infinity;
  for (let round = 0; round < mostRounds && !run.signal.aborted; round++) {
    const { target } = (await shadow.position()) ?? {};
    if (target === null) await shadow.aim(await moveBarrier(work));
    const rows = await follow(work, shadow);
    // What came in during the last part is as much as came in during the one before: it gets no closer.
    if (rows < work.chunkRows || rows > before * closing) return;
    before = rows;
  }
}

async function follow({ run }: ShadowWork, shadow: Shadow): Promise<number> {
  let rows = 0;
  while (!run.signal.aborted) {
    const from = performance.now();
    const read = await shadow.follow();
    if (read === undefined) break;
    rows += read;
    await pauseAfter(performance.now() - from, shareOf(run), run.signal);
  }
  return rows;
}

/** Compares at the last commit, over a snapshot that begins with it. Closes the shadow. */
export async function compareBuilt(
  work: ShadowWork,
  shadow: Shadow,
): Promise<{ found: ViewComparison[]; at: number }> {
  const { run, sql, tables, contracts } = work;
  const pinned = await run.host.connect();
  try {
    let begun = false;
    const begin = async (): Promise<void> => {
      await pinned.run("BEGIN TRANSACTION READ ONLY");
      await pinned.rows(`SELECT max("commit")::DOUBLE AS last FROM db.weir.commits`);
      begun = true;
    };
    let manifest: CleanManifest | undefined;
    await run.host.exclusive(async () => {
      manifest = await readManifest(sql, contracts);
      await sql.run(setBarrier(run.task.id, manifest.commit, true));
      await begin();
    });
    if (manifest === undefined || !begun) throw disturbed("The engine stops.");
    const { commit: at } = manifest;
    await shadow.aim((await work.shaped?.(manifest)) ?? manifest);
    while ((await shadow.follow()) !== undefined);
    await shadow.close();
    const found = await withShadow(sql, shadow.file, () => compareTables(pinned, tables, shadowCatalog));
    return { found, at };
  } finally {
    await pinned.run("ROLLBACK").catch(() => undefined);
    pinned.close();
  }
}

export const disturbed = (why: string): WeirError => new WeirError("task_disturbed", why);

export const shareOf = ({ task }: TaskRun): number => Number(task.arguments["share"]);

export function grown(
  { done, busyMs, counts }: TaskProgress,
  rows: number,
  total: number,
  ms: number,
): TaskProgress {
  return {
    done: done + rows,
    total: Math.max(total, done + rows),
    unit: "rows",
    busyMs: Math.round(busyMs + ms),
    counts,
  };
}

/** Up to where contracts have lost records, as one text. */
export async function edgesOf(sql: Sql, contracts: readonly string[]): Promise<string> {
  const rows = await sql.rows<{ contract: string; edge: string }>(
    "SELECT contract, edge_us::VARCHAR AS edge FROM db.weir.clean_edges ORDER BY contract",
  );
  return JSON.stringify(rows.filter(({ contract }) => contracts.includes(contract)));
}
