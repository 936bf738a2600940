/** Ways in which tables could come to depend on more than the set of records. Each must be found out. */
import type { Program, Statement, TableProgram } from "@weir/compile";
import { gapMs, windowMs } from "./project.fixture.ts";

const [gap, window] = [String(gapMs * 1000), String(windowMs * 1000)];

/** Changes statements; throws when there was nothing to change. */
export function edited(statements: readonly Statement[], from: RegExp, to: string): Statement[] {
  if (!statements.some(({ sql }) => from.test(sql))) throw new Error(`no statement has ${from.source}`);
  return statements.map((statement) => ({
    ...statement,
    sql: statement.sql.replaceAll(new RegExp(from, "g"), to),
  }));
}

/** The program with one of its tables changed. */
export const withTable =
  (name: string, change: (table: TableProgram) => TableProgram) =>
  (program: Program): Program => ({
    ...program,
    tables: program.tables.map((table) => (table.name === name ? change(table) : table)),
  });

export const defects: Readonly<Record<string, (program: Program) => Program>> = {
  "a silence of exactly the gap ends a session": withTable("visits", (table) => ({
    ...table,
    merge: edited(table.merge, new RegExp(`<= ${gap} THEN`), `< ${gap} THEN`),
  })),

  "only sessions that overlap those of the batch are merged with them": withTable("visits", (table) => ({
    ...table,
    merge: edited(
      table.merge,
      new RegExp(`m\\._start - ${gap} AND t\\._start <= m\\._end \\+ ${gap}`),
      "m._start AND t._start <= m._end",
    ),
  })),

  "the record that came first counts": (program) => ({
    ...program,
    contracts: program.contracts.map((contract) => ({
      ...contract,
      ids:
        edited(
          [contract.ids],
          /epoch_us\("\w+"\) AS t, _content/,
          "0::BIGINT AS t, 0::UBIGINT AS _content",
        )[0] ?? contract.ids,
    })),
  }),

  "windows before 1970 are cut towards zero": withTable("by_sku", (table) => ({
    ...table,
    merge: edited(
      table.merge,
      new RegExp(`\\(\\((\\S+) % ${window}\\) \\+ ${window}\\) % ${window}`),
      `($1 % ${window})`,
    ),
  })),

  "the first value is the first to come": withTable("by_sku", (table) => ({
    ...table,
    merge: edited(table.merge, /OR s\."first_seen" < t\."first_seen"/, ""),
  })),

  "a record that another took the place of stays in its group": withTable("stock", (table) => ({
    ...table,
    retract: edited(table.retract, /(SELECT DISTINCT [^]*)$/, "SELECT * FROM ($1) WHERE FALSE").map(
      (statement, i) => (i === 0 ? statement : (table.retract[i] ?? statement)),
    ),
  })),

  "values that a group has had count again": withTable("by_sku", (table) => ({
    ...table,
    merge: edited(table.merge, /WHERE NOT EXISTS \(SELECT 1 FROM db\.state\."_by_sku__visitors"[^]*\)/, ""),
  })),
};
