import { compileProject } from "@weir/compile";
import { Type, contract, decimal, nullable, timestamp } from "@weir/contract";
import { describe, expect, test } from "vitest";
import { normalizeRecord } from "./normalize.ts";

const Order = contract("order", {
  version: "1.0.0",
  owner: "tests",
  id: "id",
  time: "at",
  fields: Type.Object({
    id: Type.Integer(),
    at: timestamp(),
    total: Type.Optional(decimal({ precision: 20, scale: 2 })),
    price: Type.Optional(Type.Number()),
    address: Type.Optional(nullable(Type.Object({ city: Type.String() }))),
    lines: Type.Optional(Type.Array(Type.Object({ sku: Type.String() }))),
    stores: Type.Optional(Type.Record(Type.String(), Type.Object({ n: Type.Integer() }))),
    any: Type.Optional(Type.Unknown()),
  }),
});

const [program] = compileProject({ name: "p", sources: { s: { contracts: [Order] } }, tables: {} }).contracts;

const normalized = (record: string): [string, string | null] => {
  const { text, extra } = normalizeRecord(program?.model.fields ?? [], record);
  return [text, extra];
};

describe("a record in the form that SQL reads without loss", () => {
  test.each([
    ['{"id":1.0}', '{"id":1}'],
    ['{"id":-0}', '{"id":0}'],
    ['{"id":1e3}', '{"id":1000}'],
    ['{"price":-0.0}', '{"price":0}'],
    ['{"total":1e21}', '{"total":"1000000000000000000000"}'],
    ['{"total":"007.50"}', '{"total":"7.5"}'],
    ['{"total":null}', '{"total":null}'],
    ['{"any":12345678901234567890}', '{"any":12345678901234567890}'],
    ['{"at":"2026-01-01t00:00:00.1234567z"}', '{"at":"2026-01-01T00:00:00.123456Z"}'],
    ['{"at":"2026-01-01T00:00:00-23:59"}', '{"at":"2026-01-01T23:59:00.000000Z"}'],
    ['{"at":"2016-12-31T23:59:60.5Z"}', '{"at":"2017-01-01T00:00:00.500000Z"}'],
    ['{"at":"0000-01-01T00:00:00+00:01"}', '{"at":"-0001-12-31T23:59:00.000000Z"}'],
    ['{"at":"9999-12-31T23:59:59-00:01"}', '{"at":"10000-01-01T00:00:59.000000Z"}'],
    ['{"at":"0099-03-01T00:00:00+00:00"}', '{"at":"0099-03-01T00:00:00.000000Z"}'],
  ])("%s", (record, text) => {
    expect(normalized(record)).toEqual([text, null]);
  });

  test("keeps what no field takes, under the pointer that it had, to the last digit", () => {
    const [text, extra] = normalized(
      '{"type":"order","id":1,"more":1e400,"address":{"city":"B","zip":12345678901234567890},' +
        '"lines":[{"sku":"a"},{"sku":"b","n":{"x":1}},{"sku":"c"}],"stores":{"s":{"n":1,"m":[]},"t":{"n":2}}}',
    );
    expect(text).toBe(
      '{"id":1,"address":{"city":"B"},"lines":[{"sku":"a"},{"sku":"b"},{"sku":"c"}],"stores":{"s":{"n":1},"t":{"n":2}}}',
    );
    expect(extra).toBe(
      '{"more":1e400,"address":{"zip":12345678901234567890},"lines":[null,{"n":{"x":1}},null],"stores":{"s":{"m":[]}}}',
    );
  });

  test("keeps a member named `type` below the top", () => {
    expect(normalized('{"type":"order","address":{"city":"B","type":"home"}}')).toEqual([
      '{"address":{"city":"B"}}',
      '{"address":{"type":"home"}}',
    ]);
  });
});
