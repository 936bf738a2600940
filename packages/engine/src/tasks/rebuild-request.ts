import type { Program, TableProgram } from "@weir/compile";
import { WeirError } from "@weir/contract";
import type { Sql } from "../database.ts";
import { contractsOf } from "../merge.ts";
import { componentOf, hashesOf } from "../shadow/component.ts";
import { readManifest } from "../shadow/manifest.ts";
import { measuredSpeed } from "./ledger.ts";
import type { NewTask } from "./ledger.ts";
import { edgesOf } from "./shadow-run.ts";
import type { SwapWhen } from "./shadow-run.ts";
import type { TaskHost } from "./runner.ts";

export interface RebuildRequest {
  readonly table: string;
  /** When the new tables take the place of the live ones. Default `asked`: when somebody says so. */
  readonly swap?: SwapWhen;
  /** The share of the time that it works, of the rest it waits: 0.01 to 1. Default 0.25. */
  readonly share?: number;
}

/** What a rebuild would do. */
export interface RebuildPlan {
  /** The tables that are built anew together, each after those that it reads. */
  readonly tables: readonly string[];
  /** Files of the clean zone that are read, by contract. */
  readonly partitions: readonly {
    readonly contract: string;
    readonly files: number;
    readonly rows: number;
    readonly bytes: number;
  }[];
  /** Rows that are read, those of a contract as often as tables are made of it. */
  readonly rows: number;
  readonly bytes: number;
  /** By the speed of the last rebuilds; null where there was none. At the whole capacity, without pauses. */
  readonly estimatedMs: number | null;
}

const defaultShare = 0.25;

/** @throws WeirError `not_found`, `invalid_usage`, `history_removed` */
export async function planRebuild(sql: Sql, host: TaskHost, request: RebuildRequest): Promise<RebuildPlan> {
  const tables = tablesOf(host, request);
  const { program } = host;
  await sql.run("BEGIN TRANSACTION READ ONLY");
  try {
    const names = contractsOf(program, tables).map(({ contract }) => contract.name);
    const { files } = await readManifest(sql, names);
    const partitions = names.map((contract) => {
      const own = files.filter((file) => file.contract === contract);
      const sum = (of: "rows" | "bytes"): number => own.reduce((all, file) => all + file[of], 0);
      return { contract, files: own.length, rows: sum("rows"), bytes: sum("bytes") };
    });
    const reads = (of: "rows" | "bytes"): number =>
      tables.reduce((all, table) => all + readBy(program, table, partitions, of), 0);
    const speed = await measuredSpeed(sql, "rebuild");
    return {
      tables: tables.map(({ name }) => name),
      partitions,
      rows: reads("rows"),
      bytes: reads("bytes"),
      estimatedMs: speed === null ? null : Math.round((reads("rows") * 1000) / speed),
    };
  } finally {
    await sql.run("ROLLBACK");
  }
}

const readBy = (
  program: Program,
  table: TableProgram,
  partitions: RebuildPlan["partitions"],
  of: "rows" | "bytes",
): number =>
  contractsOf(program, [table]).reduce(
    (all, { contract }) => all + (partitions.find((one) => one.contract === contract.name)?.[of] ?? 0),
    0,
  );

/** The task that a request is for. @throws as {@link planRebuild} */
export async function rebuildTask(
  sql: Sql,
  host: TaskHost,
  request: RebuildRequest,
  actor: string,
): Promise<NewTask> {
  const { table, swap = "asked", share = defaultShare } = request;
  const tables = tablesOf(host, request);
  const { rows } = await planRebuild(sql, host, request);
  const contracts = contractsOf(host.program, tables).map(({ contract }) => contract.name);
  return {
    kind: "rebuild",
    target: tables.map(({ name }) => name).join(", "),
    arguments: { table, swap, share, hashes: hashesOf(tables), edges: await edgesOf(sql, contracts) },
    actor,
    progress: { done: 0, total: rows, unit: "rows", busyMs: 0, counts: {} },
  };
}

function tablesOf(host: TaskHost, { table: name, share = defaultShare }: RebuildRequest): TableProgram[] {
  if (!(share >= 0.01 && share <= 1))
    throw new WeirError("invalid_usage", "The share must be a number from 0.01 to 1.");
  const tables = componentOf(host.program, name);
  if (tables.length === 0)
    throw new WeirError("not_found", `There is no table ${name.slice(0, 100)}.`, {
      where: name.slice(0, 100),
      remedy: `The tables are ${host.program.tables.map((table) => table.name).join(", ")}.`,
    });
  for (const table of tables) {
    if (host.aside.has(table.name)) {
      throw new WeirError("invalid_usage", `${table.name} is set aside: the next start builds it anew.`, {
        where: `table ${table.name}`,
      });
    }
    if (!host.history.wouldLose(table)) continue;
    throw new WeirError(
      "history_removed",
      `Retention has removed records that ${table.name} was built from. Building it anew would lose what came of them.`,
      { where: `table ${table.name}` },
    );
  }
  return tables;
}
