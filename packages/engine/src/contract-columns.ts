import type { Columns, ContractProgram } from "@weir/compile";
import { changedColumns, knownColumns, text } from "@weir/compile";
import { WeirError } from "@weir/contract";
import type { Sql } from "./database.ts";

/**
 * Remembers the columns of every contract and refuses a program under which values written before would become others,
 * or could not be read at all. A field may come, go and come back; what it held is in the files all the while. What is
 * remembered of a field that went keeps a field of another type from taking its name.
 *
 * @throws WeirError `contract_changed` with every such field, its old type and its new one. Nothing has changed then.
 */
export async function checkColumns(sql: Sql, contracts: readonly ContractProgram[]): Promise<void> {
  const rows = await sql.rows<{ name: string; columns: string }>(
    "SELECT name, columns::VARCHAR AS columns FROM db.weir.contracts",
  );
  const known = new Map(rows.map(({ name, columns }) => [name, JSON.parse(columns) as Columns]));
  const problems: string[] = [];
  const remembered: string[] = [];
  for (const { contract, columns } of contracts) {
    const before = known.get(contract.name) ?? [];
    for (const { name, from, to } of changedColumns(before, columns))
      problems.push(`contract ${contract.name}, field ${name}: it was ${from} and is ${to} now.`);
    remembered.push(`(${text(contract.name)}, ${text(JSON.stringify(knownColumns(before, columns)))}::JSON)`);
  }
  if (problems.length > 0) throw new WeirError("contract_changed", problems.join("\n"));
  if (remembered.length === 0) return;
  await sql.run(`INSERT OR REPLACE INTO db.weir.contracts VALUES ${remembered.join(", ")}`);
}
