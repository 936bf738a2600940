/** Ways in which persons, and tables by person, could come to be wrong. Each must be found out. */
import type { Program, Statement, TableProgram } from "@weir/compile";
import { edited, withTable } from "./defects.fixture.ts";

/** Leaves statements out, by their name; throws when there are none. */
function without(statements: readonly Statement[], name: string): Statement[] {
  const kept = statements.filter((statement) => statement.name !== name);
  if (kept.length === statements.length) throw new Error(`no statement is named ${name}`);
  return kept;
}

const merging = (
  table: string,
  change: (merge: TableProgram["merge"]) => Statement[],
): ((program: Program) => Program) => withTable(table, (parts) => ({ ...parts, merge: change(parts.merge) }));

export const peopleDefects: Readonly<Record<string, (program: Program) => Program>> = {
  "a person is called what it was called first": merging("people", (merge) =>
    edited(
      merge,
      /coalesce\(j\._to, (coalesce\(n\._stored, n\._node\))\) AS person/,
      "coalesce(min(n._stored) OVER (PARTITION BY coalesce(j._to, $1)), j._to, n._node) AS person",
    ),
  ),

  "ids that the batch does not have keep their person": merging("people", (merge) =>
    edited(merge, /WHERE _from <> _to\) m ON/, "WHERE FALSE) m ON"),
  ),

  "a component ends at a neighbour's neighbours": merging("people", (merge) =>
    edited(merge, /NOT EXISTS \(SELECT 1 FROM _small[^]*FROM _small\) FROM _small\)/, "TRUE FROM _small)"),
  ),

  "kinds of ids share a namespace": merging("people", (merge) =>
    edited(merge, /concat\(id_kind, chr\(31\), id\)/, "concat(chr(31), id)"),
  ),

  "what is to be ignored is an id": withTable("people", (parts) => ({
    ...parts,
    ...(parts.events === undefined ? {} : { events: edited([parts.events], /'', '0', 'null'/, "''")[0] }),
  })),

  "a person that lost a record stays as it was": withTable("people", (parts) => ({
    ...parts,
    retract: edited(parts.retract, /(CREATE OR REPLACE TEMP TABLE "affected_people" AS)/, "$1 FROM (").map(
      (statement, i) => (i === 0 ? { ...statement, sql: `${statement.sql}) LIMIT 0` } : statement),
    ),
  })),

  "tables by person do not take back what their persons do": (program) => ({
    ...program,
    tables: program.tables.map((table) => ({ ...table, retractsWith: [] })),
  }),

  "sessions stay with who is gone": merging("visits", (merge) => without(merge, "move sessions of visits")),

  "sessions that meet stay apart": merging("visits", (merge) =>
    edited(merge, /WHERE _n > 1/, "WHERE _n > 1000"),
  ),

  "groups stay with who is gone": merging("per_minute", (merge) =>
    without(merge, "move groups of per_minute"),
  ),

  "groups that meet stay apart": merging("lifetime", (merge) =>
    edited(merge, /WHERE _n > 1\b[^]*$/, "WHERE _n > 1000)"),
  ),

  "of two persons only one moves": merging("gifts", (merge) =>
    edited(merge, /coalesce\(m1\._to, t\."taker"\)/, 't."taker"'),
  ),

  "values that both had count twice": merging("lifetime", (merge) =>
    edited(merge, /(UNION ALL SELECT[^]*?)0::BIGINT AS "shops"/, '$1t."shops"'),
  ),

  "values stay with who is gone": merging("lifetime", (merge) =>
    without(merge, "move values of _lifetime__shops"),
  ),
};
