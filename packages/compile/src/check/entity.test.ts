import { Type, changeContract, contract, timestamp } from "@weir/contract";
import type { WeirError } from "@weir/contract";
import { expect, test } from "vitest";
import { compileProject } from "../compile.ts";
import { derive } from "../derive-builder.ts";
import { entity } from "../entity-builder.ts";
import { explainProgram } from "../program.ts";
import type { TableSpec } from "../table.ts";

const common = { version: "1.0.0", owner: "o", id: "id", time: "at" } as const;
const base = { id: Type.String(), at: timestamp() };
const Made = contract("made", {
  ...common,
  fields: Type.Object({
    ...base,
    sku: Type.String(),
    n: Type.Optional(Type.Integer()),
    tags: Type.Array(Type.String()),
  }),
});
const Moved = contract("moved", {
  ...common,
  fields: Type.Object({ ...base, sku: Type.Integer(), Place: Type.String() }),
});
const Stray = contract("stray", { ...common, fields: Type.Object(base) });
const sources = { db: { contracts: [changeContract("db")] }, web: { contracts: [Made, Moved] } };

/** The problems of tables, each without its place. */
function problemsOf(tables: Record<string, TableSpec>): string {
  try {
    compileProject({ name: "p", sources, tables });
  } catch (error) {
    expect((error as WeirError).code).toBe("project_invalid");
    return (error as WeirError).message;
  }
  return "";
}

const stream = { from: "db.public.t", key: "id" } as const;
const cases: readonly [string, Parameters<typeof entity>[0], string][] = [
  ["a reference without a stream", { from: "db", key: "id" }, `"db" names no stream.`],
  ["a source that is not there", { from: "dbs.t", key: "id" }, `needs a source "dbs", and there is none.`],
  ["a source that captures nothing", { from: "web.t", key: "id" }, `and "web" does not.`],
  ["no key", { from: "db.t", key: [] }, `"key" names no column.`],
  ["a column of Weir's own", { ...stream, columns: { _x: Type.String() } }, `cannot be named "_x"`],
  ["a column of SQL's own", { ...stream, columns: { RowId: Type.String() } }, `cannot be named "RowId"`],
  ["columns of one name", { ...stream, columns: { Id: Type.String() } }, `two columns are named`],
  [
    "a column of the history",
    { ...stream, columns: { Valid_From: Type.String() } },
    `two columns are named "valid_from"`,
  ],
  [
    "a key that is a list",
    { ...stream, columns: { id: Type.Array(Type.String()) } },
    `"id" is a array; a key must be scalar.`,
  ],
  ["a version of a stream", { ...stream, version: "id" }, `"version" is for contracts`],
  [
    "a lattice of numbers",
    { ...stream, columns: { a: Type.Integer() }, lattice: { a: ["1", "2"] } },
    `needs a column of strings; it is a integer`,
  ],
  ["a lattice of no column", { ...stream, lattice: { a: ["1", "2"] } }, `no column of this table`],
  [
    "a lattice of one value",
    { ...stream, columns: { a: Type.String() }, lattice: { a: ["1"] } },
    `must list two values or more`,
  ],
  [
    "an end by a column that is not declared",
    { ...stream, deleted: { field: "gone", equals: true } },
    `needs a column "gone". Declare it.`,
  ],
  [
    "an end by a value of another type",
    { ...stream, columns: { gone: Type.Boolean() }, deleted: { field: "gone", equals: "t" } },
    `compares "gone", a boolean, with "t"`,
  ],
  [
    "columns of contracts",
    { from: Made, key: "sku", columns: { sku: Type.String() } },
    `"columns" is for streams`,
  ],
  ["a contract that no source brings", { from: Stray, key: "id" }, `no source brings the contract "stray"`],
  [
    "contracts that differ",
    { from: [Made, Moved], key: "sku" },
    `"sku" is VARCHAR in one contract and BIGINT in "moved"`,
  ],
  [
    "a key that a contract lacks",
    { from: [Made, Moved], key: "n" },
    `contract "moved" has no field "n", which is part of the key`,
  ],
  [
    "a version that may be missing",
    { from: Made, key: "sku", version: "n" },
    `"n" of "made" cannot be the version`,
  ],
  [
    "a version that is no scalar",
    { from: Made, key: "sku", version: "tags" },
    `"tags" of "made" cannot be the version`,
  ],
];

test.each(cases)("%s", (_, options, problem) => {
  expect(problemsOf({ t: entity(options) })).toContain(problem);
});

test("a sound entity has no problems", () => {
  const columns = { id: Type.Integer(), status: Type.String(), gone: Type.Boolean() };
  const t = entity({
    ...stream,
    columns,
    lattice: { status: ["a", "b"] },
    deleted: { field: "gone", equals: true },
  });
  expect(problemsOf({ t, made: entity({ from: Made, key: ["sku", "id"], version: "at" }) })).toContain(
    "a contract has this name",
  );
  expect(problemsOf({ t, things: entity({ from: Made, key: ["sku", "id"], version: "at" }) })).toBe("");
});

test("another table cannot have the name of the history", () => {
  const t = entity(stream);
  expect(problemsOf({ t, t_history: t })).toContain(`its view "t_history" has the name of another table`);
});

test("tables that read each other in a circle are refused with the circle", () => {
  const reading = (other: string): TableSpec =>
    derive({ from: { o: other }, key: "id", keys: { o: "id" }, sql: "SELECT id FROM o" });
  expect(problemsOf({ a: reading("b"), b: reading("c"), c: reading("b") })).toContain("b reads c reads b");
});

test("the plan of an entity: what a batch runs, in order", () => {
  const columns = { id: Type.Integer(), note: Type.String() };
  const program = compileProject({ name: "p", sources, tables: { t: entity({ ...stream, columns }) } });
  const steps = [...explainProgram(program).matchAll(/^-- ([^:\n]+): .*\n(-- only with rows in .*)?/gm)];
  const own = steps.slice(steps.findIndex(([, name]) => name === "changed rows of t"));
  expect(own.map(([, name, needs]) => (needs === undefined ? name : `${name} ?`))).toEqual([
    "changed rows of t",
    "events of t",
    "batch of t",
    "fences of t",
    "changed rows of t ?",
    "changed rows of t_history ?",
    "fence t ?",
    "history of t",
    "changed rows of t_history",
    "stored things of t",
    "ways of t",
    "unfounded states of t ?",
    "records to fold of t ?",
    "newest records of t",
    "fold t ?",
    "changed rows of t",
    "take out states of t",
    "put in states of t",
    "changed rows of t",
    "t",
    "t_history",
  ]);
  expect(program.tables[0]?.views[0]?.sql).toBe(
    'SELECT "id", "note", _extra, _misfit, _unknown, _version, _at FROM db.state."t" WHERE NOT _deleted',
  );
});
