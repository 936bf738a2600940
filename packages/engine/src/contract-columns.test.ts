import { compileProject, rollup, sum } from "@weir/compile";
import type { Program } from "@weir/compile";
import { Type, contract, decimal, timestamp } from "@weir/contract";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Harness } from "./harness.fixture.ts";

let harness: Harness;
beforeEach(() => {
  harness = new Harness();
});
afterEach(() => harness.end());

function program(version: string, own: Record<string, ReturnType<typeof Type.String>>): Program {
  const fields: object = Type.Object({ id: Type.String(), at: timestamp(), ...own });
  const sale = contract("sale", { version, owner: "tests", id: "id", time: "at", fields });
  const tables = "price" in own ? { totals: rollup({ from: sale, measures: { total: sum("price") } }) } : {};
  return compileProject({ name: "columns", sources: { web: { contracts: [sale] } }, tables });
}

/** Any schema: the fields of these contracts are what the tests are about. */
const field = (schema: unknown): ReturnType<typeof Type.String> => schema as ReturnType<typeof Type.String>;
const price = (precision: number, scale: number): Record<string, ReturnType<typeof Type.String>> => ({
  price: field(decimal({ precision, scale })),
});
const optional = (schema: unknown): ReturnType<typeof Type.String> =>
  field(Type.Optional(schema as ReturnType<typeof Type.String>));

const sale = (id: string, members: object): { source: string; sent: string; text: string } => ({
  source: "web",
  sent: "sale",
  text: JSON.stringify({ id, at: "2026-01-01T00:00:00Z", ...members }),
});

test("a field of another type is refused before anything changes, with its old type and its new one", async () => {
  await harness.open(program("1.0.0", price(10, 2)));
  await harness.load([sale("1", { price: "12.34" })]);
  for (const changed of [price(10, 1), price(9, 2), { price: field(Type.Number()) }]) {
    await expect(harness.open(program("2.0.0", changed))).rejects.toMatchObject({
      code: "contract_changed",
      message: expect.stringMatching(
        /^contract sale, field price: it was DECIMAL\(10, 2\) and is \w+.* now\.$/,
      ) as string,
    });
  }
  await harness.open(program("1.0.0", price(10, 2)));
  expect(await harness.rows("SELECT price FROM sale")).toEqual([["12.34"]]);
  expect(await harness.rows("SELECT total FROM totals")).toEqual([["12.34"]]);
});

test("a decimal may get more digits, an object more members: old values stay what they were", async () => {
  const place = { place: optional(Type.Object({ city: Type.String() })) };
  await harness.open(program("1.0.0", { ...price(10, 2), ...place }));
  await harness.load([sale("1", { price: "12.34", place: { city: "Oslo" } })]);
  const larger = { place: optional(Type.Object({ zip: optional(Type.String()), city: Type.String() })) };
  await harness.open(program("1.1.0", { ...price(14, 4), ...larger }));
  await harness.load([sale("2", { price: "0.0001", place: { city: "Rome", zip: "00184" } })]);
  expect(await harness.rows("SELECT id, price, place.city, place.zip FROM sale ORDER BY id")).toEqual([
    ["1", "12.3400", "Oslo", null],
    ["2", "0.0001", "Rome", "00184"],
  ]);
  expect(await harness.rows("SELECT total FROM totals")).toEqual([["12.3401"]]);
});

test("a field that went is remembered: it may come back, but not as another", async () => {
  await harness.open(program("1.0.0", { size: optional(Type.Integer()) }));
  await harness.load([sale("1", { size: 7 })]);
  await harness.open(program("1.1.0", {}));
  await harness.load([sale("2", { size: 8 })]);
  expect(await harness.rows("SELECT id, _extra FROM sale ORDER BY id")).toEqual([
    ["1", null],
    ["2", '{"size":8}'],
  ]);
  await expect(harness.open(program("1.2.0", { Size: optional(Type.String()) }))).rejects.toMatchObject({
    code: "contract_changed",
  });
  await harness.open(program("1.2.0", { size: optional(Type.Integer()) }));
  expect(await harness.rows("SELECT id, size FROM sale ORDER BY id")).toEqual([
    ["1", "7"],
    ["2", null],
  ]);
});
