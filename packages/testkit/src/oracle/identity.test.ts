import { Type, contract, nullable, timestamp } from "@weir/contract";
import { expect, test } from "vitest";
import { Persons } from "./identity.ts";
import type { CleanRecord } from "./outcome.ts";

const Seen = contract("seen", {
  version: "1.0.0",
  owner: "growth",
  id: "id",
  time: "at",
  fields: Type.Object({
    id: Type.String(),
    at: timestamp(),
    a: Type.Optional(nullable(Type.String())),
    b: Type.Optional(Type.Integer()),
  }),
});

const seen = (value: Record<string, unknown>): CleanRecord => ({
  contract: Seen,
  id: "1",
  timeUs: 0n,
  text: "",
  value,
});

const persons = (...records: Record<string, unknown>[]): Persons =>
  new Persons(
    {
      kind: "identity",
      links: [{ contract: Seen, ids: ["a", "b"].map((path) => ({ kind: path, path })) }],
      ignore: ["0"],
    },
    records.map(seen),
  );

test("a person has the hash of the least id; kinds are namespaces", () => {
  // printf 'a\x1f7' | sha256sum
  expect(persons({ a: "7" }).rows()).toEqual([
    { id_kind: "a", id: "7", person: "d3e346ec-a6e1-0460-f4dd-534444f55c28" },
  ]);
  const { size } = new Set(
    persons({ a: "7" }, { b: 7 })
      .rows()
      .map(({ person }) => person),
  );
  expect(size).toBe(2);
});

test("ids that a chain of records joins are of one person", () => {
  const found = persons({ a: "x", b: 1 }, { a: "y", b: 2 }, { a: "z" }, { a: "y", b: 1 });
  const byId = new Map(found.rows().map(({ id_kind, id, person }) => [`${id_kind}${id}`, person]));
  expect(new Set(["ax", "b1", "ay", "b2"].map((id) => byId.get(id))).size).toBe(1);
  expect(byId.get("az")).not.toBe(byId.get("ax"));
});

test("NULL, empty and ignored values are no ids", () => {
  const found = persons({ a: null, b: 0 }, { a: "", b: 5 }, { a: "0", b: 6 }, {});
  expect(found.rows().map(({ id_kind, id }) => id_kind + id)).toEqual(["b5", "b6"]);
  expect(found.of(seen({ a: "0", b: 0 }), ["a", "b"])).toBeNull();
  expect(found.of(seen({ a: "", b: 5 }), ["a"])).toBeNull();
  expect(found.of(seen({ a: "", b: 5 }), ["a", "b"])).not.toBeNull();
});
