import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Contract, JSONSchema } from "@weir/contract";
import { WeirError } from "@weir/contract";

/** A contract as an engine last ran it on a data directory. */
export interface DeployedContract {
  readonly version: string;
  readonly schema: JSONSchema;
}

export type DeployedContracts = Readonly<Record<string, DeployedContract>>;

const fileOf = (dataDir: string): string => join(dataDir, "state", "contracts.json");

/** Remembers the contracts that an engine runs, for `weir contract diff`. Replaces the file as a whole. */
export function recordDeployed(dataDir: string, contracts: readonly Contract[]): void {
  const before = readDeployed(dataDir) ?? {};
  const now = Object.fromEntries(contracts.map(({ name, version, schema }) => [name, { version, schema }]));
  // One that is gone may come back, and its records are there all the while.
  const text = JSON.stringify({ ...before, ...now });
  if (text === JSON.stringify(before)) return;
  const path = fileOf(dataDir);
  const draft = `${path}.new`;
  const file = openSync(draft, "w");
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(draft, path);
}

/**
 * By name; undefined where no engine has run.
 *
 * @throws WeirError `state_unreadable`
 */
export function readDeployed(dataDir: string): DeployedContracts | undefined {
  const path = fileOf(dataDir);
  try {
    return JSON.parse(readFileSync(path, "utf8")) as DeployedContracts;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new WeirError("state_unreadable", "What contracts were deployed cannot be read.", {
      where: path,
      remedy:
        "Remove the file: the next start writes it anew, and until then there is nothing to compare with.",
      cause,
    });
  }
}
