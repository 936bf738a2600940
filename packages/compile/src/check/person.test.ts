import { Type, contract, timestamp } from "@weir/contract";
import type { Contract } from "@weir/contract";
import { describe, expect, test } from "vitest";
import { rollup, sessions } from "../builders.ts";
import { compileProject } from "../compile.ts";
import { identity, person } from "../identity-builder.ts";
import { count } from "../measure.ts";
import type { TableSpec } from "../table.ts";

const named = (name: string): Contract =>
  contract(name, {
    version: "1.0.0",
    owner: "test",
    id: "id",
    time: "at",
    fields: Type.Object({
      id: Type.String(),
      at: timestamp(),
      device: Type.Optional(Type.String()),
      user: Type.Optional(Type.Object({ id: Type.Integer(), name: Type.String() })),
      score: Type.Optional(Type.Number()),
    }),
  });
const [Seen, Bought, Elsewhere] = [named("seen"), named("bought"), named("elsewhere")];
const people = identity({ ids: [[Seen, { device: "device", user: "user.id" }]] });
const measures = { seen: count() };

const compiled = (tables: Record<string, TableSpec>): ReturnType<typeof compileProject> =>
  compileProject({ name: "test", sources: { web: { contracts: [Seen, Bought] } }, tables });

test("a table by person comes after the identity table, reads it and changes with it", () => {
  const visits = sessions({
    from: Seen,
    by: [person("people", ["user.id", "device"]), "device"],
    gap: "1m",
    measures,
  });
  const program = compiled({ visits, people });
  expect(program.tables.map(({ name }) => name)).toEqual(["people", "visits"]);
  expect(program.tables[1]).toMatchObject({ inputs: ["people"], retractsWith: ["people"] });
  const strict = identity({ ids: [[Seen, { device: "device", user: "user.id" }]], ignore: ["0"] });
  expect(compiled({ visits, people: strict }).tables[1]?.hash).not.toBe(program.tables[1]?.hash);
});

const by = (...parts: Parameters<typeof person>): TableSpec =>
  rollup({ from: Seen, by: person(...parts), measures });

const problems: Record<string, [Record<string, TableSpec>, RegExp]> = {
  "a table that is not there": [{ seen_by: by("persons", "device") }, /reads the table "persons"/],
  "a table of another kind": [
    { people, all: rollup({ from: Seen, measures }), seen_by: by("all", "device") },
    /the table is of kind rollup/,
  ],
  "a field that is no id": [
    { people, seen_by: by("people", "user.name") },
    /Add \[seen, \["user.name"\]\] to its ids/,
  ],
  "a field that is an id of no contract": [
    { people, seen_by: by("people", ["device", "score"]) },
    /"score" is no id of the table in any contract/,
  ],
  "a contract that the identity table does not have": [
    { people, seen_by: rollup({ from: [Seen, Bought], by: person("people", "device"), measures }) },
    /of contract "bought" the table has none of the fields "device"/,
  ],
  "a field that is an id of two kinds": [
    {
      people: identity({
        ids: [
          [Seen, { a: "device" }],
          [Seen, { b: "device" }],
        ],
      }),
      seen_by: by("people", "device"),
    },
    /"device" of "seen" is an id of several kinds: a, b/,
  ],
  "two columns of one name": [
    {
      people,
      seen_by: rollup({
        from: Seen,
        by: [person("people", "device"), person("people", "user.id")],
        measures,
      }),
    },
    /two columns are named "person"/,
  ],
  "a column's name": [
    { people, seen_by: by("people", "device", { as: "The person" }) },
    /column "The person"/,
  ],
  "no ids": [{ people: identity({ ids: [] }) }, /"ids" names no contract/],
  "no fields": [{ people: identity({ ids: [[Seen, []]] }) }, /no field is named/],
  "a contract that no source brings": [
    { people: identity({ ids: [[Elsewhere, ["device"]]] }) },
    /no source brings/,
  ],
  "a field that is not there": [{ people: identity({ ids: [[Seen, ["nothing"]]] }) }, /no field "nothing"/],
  "an id that is a number": [
    { people: identity({ ids: [[Seen, ["score"]]] }) },
    /"score" is a number; ids are strings or/,
  ],
  "a field twice": [{ people: identity({ ids: [[Seen, ["device", "device"]]] }) }, /a field is named twice/],
  "a kind that cannot be": [
    { people: identity({ ids: [[Seen, { "a\u001f": "device" }]] }) },
    /cannot name a kind/,
  ],
};

describe("a problem of the project", () => {
  test.each(Object.entries(problems))("%s", (_, [tables, message]) => {
    expect(() => compiled(tables)).toThrow(message);
  });
});
