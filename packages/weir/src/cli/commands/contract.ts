import { changedColumns } from "@weir/compile";
import type { ChangedColumn, ContractProgram } from "@weir/compile";
import { compatibility, parseVersion, rowTagChanges } from "@weir/contract";
import type { SchemaChange } from "@weir/contract";
import { WeirError } from "@weir/contract";
import { loadCompiled } from "../../compiled.ts";
import { columnsOf, readDeployed } from "../../deployed.ts";
import type { DeployedContract } from "../../deployed.ts";
import { exitCodes } from "../../exit-code.ts";
import type { ExitCode } from "../../exit-code.ts";
import { findProject } from "../../load.ts";
import { dataDirOf } from "../place.ts";
import type { ContractDiffOptions } from "../program.ts";
import { paint, result } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

export type CompatibilityMode = "backward" | "forward" | "full";

/** `refused`: no engine starts with it, whatever its version. */
type Verdict = "new" | "unchanged" | "compatible" | "breaking" | "new_major" | "refused";

/** What deploying a contract means. */
export interface ContractDiff {
  readonly name: string;
  /** Null where it was not deployed before. */
  readonly from: string | null;
  readonly to: string;
  readonly verdict: Verdict;
  readonly backward: boolean;
  readonly forward: boolean;
  readonly changes: readonly SchemaChange[];
  /** Columns for which a start refuses it: `contract_changed`. */
  readonly refused: readonly ChangedColumn[];
  /** What must happen. */
  readonly todo: string;
}

/**
 * Compares the contracts of the project with those that were deployed. With --json: `{mode, contracts: [...]}`. Exit code 1 if one is
 * breaking under the mode and keeps its major version, or would not start.
 */
export async function contractDiff(
  terminal: Terminal,
  name: string | undefined,
  options: ContractDiffOptions,
): Promise<ExitCode> {
  const { mode } = options;
  const { program } = await loadCompiled(findProject(options.project));
  const deployed = readDeployed(dataDirOf(options)) ?? {};
  const wanted = program.contracts.filter(({ contract }) => name === undefined || contract.name === name);
  if (name !== undefined && wanted.length === 0) {
    throw new WeirError("not_found", `The project has no contract ${name.slice(0, 100)}.`, {
      remedy: `It has ${program.contracts.map(({ contract }) => contract.name).join(", ")}.`,
    });
  }
  const contracts = wanted.map((one) => diffOf(one, deployed[one.contract.name], mode));
  result(terminal, { mode, contracts }, () => contracts.map((one) => shown(terminal, one)).join("\n\n"));
  return contracts.some(({ verdict }) => verdict === "breaking" || verdict === "refused")
    ? exitCodes.failed
    : exitCodes.ok;
}

/** @param before as it was deployed; undefined where it was not */
export function diffOf(
  { contract, columns }: ContractProgram,
  before: DeployedContract | undefined,
  mode: CompatibilityMode,
): ContractDiff {
  const { name, version: to } = contract;
  if (before === undefined) {
    const same = { backward: true, forward: true, changes: [], refused: [] };
    return { name, from: null, to, verdict: "new", ...same, todo: "Nothing: it was not deployed before." };
  }
  const found = compatibility(before.schema, contract.schema);
  const { backward, forward } = found;
  const tags =
    before.rowTags === undefined ? [] : rowTagChanges(before.rowTags, contract.rowTags ?? before.rowTags);
  const changes = [...found.changes, ...tags];
  const refused = changedColumns(columnsOf(contract, before), columns);
  const fits = mode === "backward" ? backward : mode === "forward" ? forward : backward && forward;
  const isNewMajor = parseVersion(before.version)?.major !== parseVersion(to)?.major;
  const verdict: Verdict =
    refused.length > 0
      ? "refused"
      : isNewMajor
        ? "new_major"
        : changes.length === 0
          ? "unchanged"
          : fits
            ? "compatible"
            : "breaking";
  const isTagged = changes.some(({ pointer }) => /(?:^|\/)pii(?:$|\/)/.test(pointer));
  const todo = [
    todoOf(verdict, before.version, to, refused),
    ...(isTagged && verdict !== "refused" ? [tagsHold] : []),
  ].join(" ");
  return { name, from: before.version, to, verdict, backward, forward, changes, refused, todo };
}

const tagsHold = "Tags hold for records that come from then on: what is loaded stays as it is.";

function todoOf(verdict: Verdict, from: string, to: string, refused: readonly ChangedColumn[]): string {
  switch (verdict) {
    case "refused":
      return `Give ${refused.map(({ name }) => name).join(", ")} another name, or take the change back: Weir does not start with it (contract_changed), under no version.`;
    case "breaking":
      return `Give it version ${(parseVersion(from)?.major ?? 0) + 1}.0.0 and tell those who send and read it, or take the changes marked with ! back. Deployed as it is, records that fit version ${from} can go to quarantine.`;
    case "new_major":
      return `Move those who name version ${from} first: their records go to quarantine (unknown_version). Records that name no version are judged by ${to}.`;
    case "compatible":
      return from === to
        ? `Nothing, but raise the version: ${from} means two things otherwise.`
        : "Nothing: start Weir with it.";
    case "new":
    case "unchanged":
      return "Nothing.";
  }
}

function shown(terminal: Terminal, diff: ContractDiff): string {
  const { name, from, to, verdict, changes, refused, todo } = diff;
  const versions = from === null ? to : from === to ? to : `${from} to ${to}`;
  const isBad = verdict === "breaking" || verdict === "refused";
  const head = `${paint(terminal, "bold", name)} ${versions}: ${paint(terminal, isBad ? "red" : "green", verdict.replace("_", " "))}`;
  const columns = refused.map(
    (column) => `  ! ${column.name}: its column was ${column.from} and is ${column.to} now`,
  );
  const lines = changes.map(
    ({ pointer, what, effect }) =>
      `  ${verdict === "breaking" && effect !== "same" ? "!" : " "} ${pointer === "" ? "(record)" : pointer}: ${what} (${meanings[effect]})`,
  );
  return [head, ...columns, ...lines, `  ${todo}`].join("\n");
}

const meanings: Readonly<Record<SchemaChange["effect"], string>> = {
  same: "accepts the same",
  more: "accepts more",
  fewer: "accepts less",
  other: "accepts others",
};
