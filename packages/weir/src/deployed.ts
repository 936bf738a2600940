import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";
import { knownColumns, storedColumns } from "@weir/compile";
import type { Columns, ContractProgram } from "@weir/compile";
import type { Contract, JSONSchema, RowTags } from "@weir/contract";
import { WeirError } from "@weir/contract";

/** A contract as an engine last ran it on a data directory. */
export interface DeployedContract {
  readonly version: string;
  readonly schema: JSONSchema;
  /** All columns that it ever had, as an engine keeps them in mind. Files that older versions wrote lack these and the tags. */
  readonly columns?: Columns;
  /** Of a captured source. */
  readonly rowTags?: RowTags;
}

export type DeployedContracts = Readonly<Record<string, DeployedContract>>;

const fileOf = (dataDir: string): string => join(dataDir, "state", "contracts.json");

/** Remembers the contracts that an engine runs, for `weir contract diff`. Replaces the file as a whole. */
export function recordDeployed(
  dataDir: string,
  contracts: readonly Pick<ContractProgram, "contract" | "columns">[],
): void {
  const before = readDeployed(dataDir) ?? {};
  const now = Object.fromEntries(
    contracts.map(({ contract, columns }) => {
      const { name, version, schema, rowTags } = contract;
      const known = columnsOf(contract, before[name]);
      const all = knownColumns(known, columns);
      return [name, { version, schema, columns: all, ...(rowTags === undefined ? {} : { rowTags }) }];
    }),
  );
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

/** The columns that a contract had when it was deployed, and before. */
export const columnsOf = (contract: Contract, deployed: DeployedContract | undefined): Columns =>
  deployed === undefined ? [] : (deployed.columns ?? storedColumns({ ...contract, schema: deployed.schema }));

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
