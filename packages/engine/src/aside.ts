import type { Program, TableProgram } from "@weir/compile";
import { text } from "@weir/compile";
import { WeirError } from "@weir/contract";
import type { Sql } from "./database.ts";

/**
 * Tables that are set aside. SQL that a user wrote may fail on what a record brings: a cast, an overflow, a subquery of
 * two rows. One such record must not stop the engine, so its table stays as it was, with those that read it, and
 * everything else goes on. Each start tries them again, from the whole of their inputs.
 */
export type Aside = ReadonlyMap<string, string>;

/** A statement of a table with SQL of the user's failed. Whatever else fails is nobody's to set aside. */
export class FailedTable extends Error {
  readonly table: string;

  constructor(table: string, cause: WeirError) {
    const told = cause.cause instanceof Error ? cause.cause.message : cause.message;
    super(withoutValues(told).slice(0, 1000), { cause });
    this.name = "FailedTable";
    this.table = table;
  }
}

/**
 * A message of DuckDB's without the values that it quotes, which are of records: everybody who sees the status sees why a table is
 * set aside, and the state keeps it. From the first quote to the last, as values have quotes in them.
 */
const withoutValues = (message: string): string =>
  message.replace(/'.*'/s, "'...'").replace(/".*"/s, '"..."');

/** Runs statements of a table. @throws FailedTable */
export async function ofTable<T>({ name, userSql }: TableProgram, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const isTheirs =
      userSql !== undefined && error instanceof WeirError && error.code === "engine_statement_failed";
    throw isTheirs ? new FailedTable(name, error) : error;
  }
}

/** What is set aside when a table fails, in addition: the table, and those that read it. The values say why. */
export function withReaders(
  program: Program,
  { table, message }: Pick<FailedTable, "table" | "message">,
): Map<string, string> {
  const found = new Map([[table, message]]);
  for (const { name, inputs } of program.tables) {
    const input = inputs.find((one) => found.has(one));
    if (input !== undefined && !found.has(name)) found.set(name, `It reads ${input}, which is set aside.`);
  }
  return found;
}

/** The program without the tables that are set aside. */
export const without = (program: Program, aside: Aside): Program =>
  aside.size === 0 ? program : { ...program, tables: program.tables.filter(({ name }) => !aside.has(name)) };

/** What the state says is set aside. */
export async function storedAside(sql: Sql): Promise<Aside> {
  const rows = await sql.rows<{ name: string; reason: string }>("SELECT name, reason FROM db.weir.aside");
  return new Map(rows.map(({ name, reason }) => [name, reason]));
}

/** Notes tables as set aside from the running transaction's commit on. */
export async function storeAside(sql: Sql, aside: Aside): Promise<void> {
  if (aside.size === 0) return;
  const rows = [...aside].map(
    ([name, reason]) => `(${text(name)}, ${text(reason)}, getvariable('weir_commit'))`,
  );
  await sql.run(`INSERT INTO db.weir.aside VALUES ${rows.join(", ")}`);
}
