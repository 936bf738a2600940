import { Type, changeContract, contract, timestamp } from "@weir/contract";
import type { Contract } from "@weir/contract";
import type { CleanRecord } from "@weir/testkit";
import { test } from "vitest";
import { entity } from "../entity-builder.ts";
import type { EntitySpec } from "../table.ts";
import { holds } from "./entity-cases.fixture.ts";
import { cleanRecord } from "./entity.fixture.ts";

/** Names that the statements of entities have for tables, aliases and variables, and such as need quotes. */
const names = [
  "t b c d h f p e s x n m u v i r l key row op stream version unknown at batch todo news declared object".split(
    " ",
  ),
  ["group", "Select", "a b", "a'b", 'a"b', "漢字", "0", "~", "/", "a.b", "$"],
].flat();

const db = changeContract("db");
const time = (n: number): string => `2026-01-01T00:00:0${n}Z`;

/** Changes of one row: two full ones, a partial one between them, an end; the first comes last. */
function changes(name: string): CleanRecord[] {
  const change = (version: number, op: string, row: object, unknown?: readonly string[]): CleanRecord =>
    cleanRecord(db, {
      id: `c${version}`,
      at: time(version),
      stream: "rows",
      op,
      key: '["1"]',
      version: String(version),
      row: { "the id": "1", ...row },
      ...(unknown === undefined ? {} : { unknown }),
    });
  return [
    change(2, "update", { [name]: "2", more: { [name]: 2 } }, [`more of ${name}`]),
    change(3, "update", {}, [name, "more"]),
    change(4, "delete", {}),
    change(5, "insert", { [name]: "not a number" }),
    change(1, "insert", { [name]: "1", [`more of ${name}`]: "1" }),
  ];
}

function records(name: string, one: Contract, other: Contract): CleanRecord[] {
  const record = (of: Contract, n: number, more: object): CleanRecord =>
    cleanRecord(of, { "event id": `r${n}`, when: time(n), thing: 1, ...more });
  return [
    record(one, 2, { [name]: 1 }),
    record(other, 3, {}),
    record(one, 4, { [name]: 7 }),
    record(other, 5, {}),
    record(one, 1, { [name]: 3 }),
  ];
}

async function compare(
  spec: EntitySpec,
  contracts: readonly Contract[],
  all: readonly CleanRecord[],
): Promise<void> {
  await holds({ spec, contracts, records: undefined as never }, [
    all.slice(0, 2),
    all.slice(2, 4),
    all.slice(4),
  ]);
}

test.each(names)("a column may be named %s", async (name) => {
  const columns = { "the id": Type.Integer(), [name]: Type.Number() };
  await compare(entity({ from: "db.rows", key: "the id", columns }), [db], changes(name));
  // The oracle reads dots as paths.
  if (name.includes(".")) return;
  const fields = { "event id": Type.String(), when: timestamp(), thing: Type.Integer() };
  const spec = { version: "1.0.0", owner: "tests", id: "event id", time: "when" } as const;
  const one: Contract = contract("one", {
    ...spec,
    fields: Type.Object({ ...fields, [name]: Type.Number() }),
  });
  const other: Contract = contract("other", { ...spec, fields: Type.Object(fields) });
  const deleted = { field: name, equals: 7 };
  await compare(
    entity({ from: [one, other], key: "thing", deleted }),
    [one, other],
    records(name, one, other),
  );
  const byName = records(name, one, other).filter(({ contract: of }) => of === one);
  await compare(entity({ from: one, key: [name, "thing"] }), [one], byName);
});
