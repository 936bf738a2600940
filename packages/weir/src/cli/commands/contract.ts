import { compatibility, parseVersion } from "@weir/contract";
import type { Contract, SchemaChange } from "@weir/contract";
import { WeirError } from "@weir/contract";
import { loadCompiled } from "../../compiled.ts";
import { readDeployed } from "../../deployed.ts";
import type { DeployedContract } from "../../deployed.ts";
import { exitCodes } from "../../exit-code.ts";
import type { ExitCode } from "../../exit-code.ts";
import { findProject } from "../../load.ts";
import { dataDirOf } from "../place.ts";
import type { ContractDiffOptions } from "../program.ts";
import { paint, result } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

export type CompatibilityMode = "backward" | "forward" | "full";

type Verdict = "new" | "unchanged" | "compatible" | "breaking" | "new_major";

/** What deploying a contract means. */
interface ContractDiff {
  readonly name: string;
  /** Null where it was not deployed before. */
  readonly from: string | null;
  readonly to: string;
  readonly verdict: Verdict;
  readonly backward: boolean;
  readonly forward: boolean;
  readonly changes: readonly SchemaChange[];
  /** What must happen. */
  readonly todo: string;
}

/**
 * Compares the contracts of the project with those that were deployed. With --json: `{mode, contracts: [...]}`. Exit code 1 if one is
 * breaking under the mode and keeps its major version.
 */
export async function contractDiff(
  terminal: Terminal,
  name: string | undefined,
  options: ContractDiffOptions,
): Promise<ExitCode> {
  const { mode } = options;
  const { project } = await loadCompiled(findProject(options.project));
  const deployed = readDeployed(dataDirOf(options)) ?? {};
  const all = new Map(
    Object.values(project.sources).flatMap(({ contracts }) =>
      contracts.map((one) => [one.name, one] as const),
    ),
  );
  const wanted = [...all.values()].filter((one) => name === undefined || one.name === name);
  if (name !== undefined && wanted.length === 0) {
    throw new WeirError("not_found", `The project has no contract ${name.slice(0, 100)}.`, {
      remedy: `It has ${[...all.keys()].join(", ")}.`,
    });
  }
  const contracts = wanted.map((one) => diffOf(one, deployed[one.name], mode));
  result(terminal, { mode, contracts }, () => contracts.map((one) => shown(terminal, one)).join("\n\n"));
  return contracts.some(({ verdict }) => verdict === "breaking") ? exitCodes.failed : exitCodes.ok;
}

function diffOf(
  contract: Contract,
  before: DeployedContract | undefined,
  mode: CompatibilityMode,
): ContractDiff {
  const { name, version: to } = contract;
  if (before === undefined) {
    const same = { backward: true, forward: true, changes: [] };
    return { name, from: null, to, verdict: "new", ...same, todo: "Nothing: it was not deployed before." };
  }
  const found = compatibility(before.schema, contract.schema);
  const { backward, forward, changes } = found;
  const fits = mode === "backward" ? backward : mode === "forward" ? forward : backward && forward;
  const isNewMajor = parseVersion(before.version)?.major !== parseVersion(to)?.major;
  const verdict: Verdict = isNewMajor
    ? "new_major"
    : changes.length === 0
      ? "unchanged"
      : fits
        ? "compatible"
        : "breaking";
  return { name, from: before.version, to, verdict, ...found, todo: todoOf(verdict, before.version, to) };
}

function todoOf(verdict: Verdict, from: string, to: string): string {
  switch (verdict) {
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
  const { name, from, to, verdict, changes, todo } = diff;
  const versions = from === null ? to : from === to ? to : `${from} to ${to}`;
  const isBad = verdict === "breaking";
  const head = `${paint(terminal, "bold", name)} ${versions}: ${paint(terminal, isBad ? "red" : "green", verdict.replace("_", " "))}`;
  const lines = changes.map(
    ({ pointer, what, effect }) =>
      `  ${isBad && effect !== "same" ? "!" : " "} ${pointer === "" ? "(record)" : pointer}: ${what} (${meanings[effect]})`,
  );
  return [head, ...lines, `  ${todo}`].join("\n");
}

const meanings: Readonly<Record<SchemaChange["effect"], string>> = {
  same: "accepts the same",
  more: "accepts more",
  fewer: "accepts less",
  other: "accepts others",
};
