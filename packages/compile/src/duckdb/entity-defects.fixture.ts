/** Ways in which an entity could come to depend on more than the set of records. Each must be found out. */
import type { Statement, TableProgram } from "../program.ts";
import type { entityCases } from "./entity-cases.fixture.ts";

interface EntityDefect {
  /** The case that shows it. */
  readonly of: keyof typeof entityCases;
  readonly defect: (table: TableProgram) => TableProgram;
}

/** Changes statements; throws when there was nothing to change. */
export function edited(statements: readonly Statement[], from: RegExp, to: string): Statement[] {
  if (!statements.some(({ sql }) => from.test(sql))) throw new Error(`no statement has ${from.source}`);
  return statements.map((statement) => ({
    ...statement,
    sql: statement.sql.replaceAll(new RegExp(from, "g"), to),
  }));
}

function without(statements: readonly Statement[], name: RegExp): Statement[] {
  const kept = statements.filter((statement) => !name.test(statement.name));
  if (kept.length === statements.length) throw new Error(`no statement is named ${name.source}`);
  return kept;
}

/** With its merge changed. */
const merging = (of: string, change: (statements: readonly Statement[]) => Statement[]): EntityDefect => ({
  of,
  defect: (table) => ({ ...table, merge: change(table.merge) }),
});

export const entityDefects: Readonly<Record<string, EntityDefect>> = {
  "what comes last counts": merging("a contract", (merge) =>
    edited(
      edited(merge, /WHEN c\._full AND c\._o > b\._newest THEN 'keep'/, ""),
      /AND \(c\._o IS NULL OR b\._newest > c\._o\)/,
      "",
    ),
  ),

  "of a batch any record counts": merging("a contract", (merge) =>
    edited(merge, /max\(_o\) AS _newest/, "min(_o) AS _newest"),
  ),

  "what is unknown is NULL": merging("a stream", (merge) =>
    edited(merge, /FILTER \(WHERE \(_unknown IS NULL OR NOT list_contains\(_unknown, '\w+'\)\)\)/, ""),
  ),

  "what was never known is no longer said to be unknown": merging("a stream", (merge) =>
    edited(merge, /nullif\(_s\.u, \[\]\) AS _unknown/, "NULL AS _unknown"),
  ),

  "values without a column are lost with a partial record": merging(
    "a stream without declared columns",
    (merge) => edited(merge, /_s\.e AS _extra/, "NULL AS _extra"),
  ),

  "an end leaves no tombstone": merging("a contract", (merge) =>
    edited(merge, /WHERE d\._how = 'replace'/, "WHERE d._how = 'replace' AND b._op <> 'delete'"),
  ),

  "an end resets nothing": merging("two contracts with a version", (merge) =>
    edited(merge, /WHERE _reset IS NULL OR _o > _reset/, ""),
  ),

  "a late record is folded onto a newer state": merging("a stream", (merge) =>
    edited(merge, /c\._full OR c\._o < b\._oldest THEN 'fold'/, "TRUE THEN 'fold'"),
  ),

  "what a fence ended comes back late": merging("a stream", (merge) =>
    edited(merge, /coalesce\(\w\._version > getvariable\('t_fence'\)::VARCHAR, TRUE\)/, "TRUE"),
  ),

  "a fence ends nothing that is there": merging("a stream", (merge) => without(merge, /^fence t$/)),

  "a late fence leaves newer states their values from before it": merging("a stream", (merge) =>
    without(merge, /^unfounded states/),
  ),

  "with a lattice the newest counts": merging("a stream with a lattice", (merge) =>
    edited(merge, /struct_pack\(r := CASE [^]*? END, o := _o\)/, "_o"),
  ),

  "the things that were there are not said to have changed": merging("a stream", (merge) =>
    without(merge, /^changed rows of t$/),
  ),

  "things whose past alone changed are not told": merging("a stream", (merge) =>
    without(merge, /^changed rows of t_history$/),
  ),

  "a decimal is rounded": {
    of: "a stream",
    defect: (table) => ({
      ...table,
      ...(table.events === undefined
        ? {}
        : {
            events: {
              ...table.events,
              sql: table.events.sql.replaceAll(
                /CASE WHEN regexp_full_match[^\n]*?(TRY_CAST\(_t\d AS DECIMAL\(8, 2\)\)) END/g,
                "$1",
              ),
            },
          }),
    }),
  },

  "a fence that is taken back stays": {
    of: "a stream",
    defect: (table) => ({ ...table, retract: without(table.retract, /^drop fences/) }),
  },

  "a record that is taken back stays in the history": {
    of: "a contract",
    defect: (table) => ({
      ...table,
      retract: without(table.retract, /^drop affected things of _t__history/),
    }),
  },
};
