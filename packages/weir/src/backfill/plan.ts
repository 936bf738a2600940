import { join } from "node:path";
import type { FilesSource, RunnerOptions } from "@weir/capture";
import { FilesBackfill, backfillSource } from "@weir/capture/files";
import type { BackfillFile } from "@weir/capture/files";
import { WeirError } from "@weir/contract";
import type { Contract } from "@weir/contract";
import type { Project } from "../project.ts";
import { filesBackfillId, readBackfill } from "./state.ts";
import type { BackfillScope, BackfillState } from "./state.ts";

/** What is to be read. */
export interface BackfillPlan extends BackfillScope {
  /** Files, types, objects, tables. */
  readonly parts: number;
  /** Of all files; null of what is no file. */
  readonly bytes: number | null;
  /** What became of it before, if it was begun. */
  readonly before: BackfillState | undefined;
  readonly capture: RunnerOptions["capture"];
}

export interface FilesPlan extends BackfillPlan {
  readonly files: readonly BackfillFile[];
  readonly bytes: number;
}

export interface FilesRequest {
  readonly source: string;
  readonly files: string;
  readonly contract: string | undefined;
  readonly share: number;
  /** A relative pattern is relative to this. */
  readonly workingDir: string;
}

/**
 * Finds the files of a backfill; nothing is changed.
 *
 * @throws WeirError `invalid_usage`, `files_directory_unreadable`
 */
export async function planFiles(
  project: Project,
  dataDir: string,
  { source, files, contract, share, workingDir }: FilesRequest,
): Promise<FilesPlan> {
  const declared = declaredSource(project, source);
  const chosen = contractOf(source, declared.contracts, contract);
  const isFiles = "kind" in declared && declared.kind === "files";
  const read = backfillSource(
    files,
    chosen,
    workingDir,
    isFiles ? (declared as unknown as FilesSource) : undefined,
  );
  const capture = new FilesBackfill(read);
  const found = await capture.files();
  const pattern = join(read.path, read.feeds[0]?.patterns[0] ?? "");
  if (found.length === 0)
    throw new WeirError("invalid_usage", "There are no such files.", { where: pattern });
  const id = filesBackfillId(source, chosen.name, pattern);
  return {
    id,
    source,
    contract: chosen.name,
    unit: "files",
    pattern,
    from: null,
    to: null,
    column: null,
    share,
    files: found,
    parts: found.length,
    bytes: found.reduce((sum, file) => sum + file.bytes, 0),
    before: readBackfill(dataDir, id),
    capture,
  };
}

/** @throws WeirError `invalid_usage` if the project has no such source */
export function declaredSource(project: Project, source: string): Project["sources"][string] {
  const declared = project.sources[source];
  if (declared !== undefined) return declared;
  throw new WeirError("invalid_usage", `The project has no source ${source}.`, {
    remedy: `Its sources are ${Object.keys(project.sources).join(", ")}.`,
  });
}

function contractOf(source: string, contracts: readonly Contract[], named: string | undefined): Contract {
  const names = contracts.map(({ name }) => name).join(", ");
  if (named === undefined && contracts.length > 1) {
    throw new WeirError("invalid_usage", `${source} has several contracts: name one with --contract.`, {
      remedy: `They are ${names}.`,
    });
  }
  const [found] = named === undefined ? contracts : contracts.filter(({ name }) => name === named);
  if (found !== undefined) return found;
  throw new WeirError("invalid_usage", `${source} has no contract ${named ?? ""}.`, {
    remedy: `It has ${names}.`,
  });
}
