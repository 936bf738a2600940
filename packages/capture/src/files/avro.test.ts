import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import avsc from "avsc";
import * as fc from "fast-check";
import { until } from "@weir/testkit";
import { expect, test } from "vitest";
import { Drop } from "./capture.fixture.ts";
import { AvroBytes } from "./avro-bytes.ts";
import { avroRecord } from "./avro-schema.ts";
import { typedText } from "./typed-value.ts";

/** Schemas of every kind of type, with names in and out of namespaces, and a type that holds itself. */
const scalar = fc.constantFrom<avsc.Schema>(
  "null",
  "boolean",
  "int",
  "long",
  "float",
  "double",
  "bytes",
  "string",
);
let names = 0;
const asSchema = (schema: object): avsc.Schema => schema as avsc.Schema;
const schemaOf: fc.Arbitrary<avsc.Schema> = fc.letrec<{ type: avsc.Schema }>((tie) => ({
  type: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    scalar,
    fc.integer({ min: 0, max: 5 }).map((size) => asSchema({ type: "fixed", name: `F${names++}`, size })),
    fc
      .constantFrom<string[]>(["A", "B"], ["C"])
      .map((symbols) => asSchema({ type: "enum", name: `E${names++}`, namespace: "x.y", symbols })),
    tie("type").map((items) => asSchema({ type: "array", items })),
    tie("type").map((values) => asSchema({ type: "map", values })),
    scalar.filter((type) => type !== "null").map((type) => asSchema(["null", type])),
    fc.array(tie("type"), { maxLength: 3 }).map((types) => {
      const name = `a.R${names++}`;
      const own = { name: "next", type: ["null", name] };
      const fields = [...types.map((type, i) => ({ name: `f${i}`, type })), own];
      return asSchema({ type: "record", name, fields });
    }),
  ),
})).type;

/** What avsc makes of bytes, floats and unions, as JSON has them here. */
function plain(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return value.toString("base64");
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return Object.is(value, -0) ? 0 : value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]));
}

test("any value of any schema is what avsc encoded", () => {
  fc.assert(
    fc.property(fc.array(schemaOf, { maxLength: 4 }), (types) => {
      const schema = {
        type: "record",
        name: `Row${names++}`,
        fields: types.map((type, i) => ({ name: `f${i}`, type })),
      } as avsc.schema.RecordType;
      const type = avsc.Type.forSchema(schema, { wrapUnions: "auto" });
      const value: unknown = type.random();
      const encoded = type.toBuffer(value);
      const bytes = new AvroBytes(encoded);
      const read = new Map(
        avroRecord(JSON.stringify(schema)).fields.map(({ name, read: field }) => [name, field(bytes)]),
      );
      expect(bytes.at).toBe(encoded.length);
      expect(bytes.invalidText).toBe(false);
      // A float is the double that it is exactly to avsc, and the shortest that it may be here.
      const floats = (text: string): unknown =>
        JSON.parse(text, (_, one: unknown) =>
          typeof one === "number" && !Number.isInteger(one) ? Math.fround(one) : one,
        );
      expect(floats(typedText(read, undefined, undefined))).toEqual(floats(JSON.stringify(plain(value))));
    }),
    { numRuns: 300 },
  );
});

test("a file of avsc, with blocks that deflate compresses", async () => {
  const drop = new Drop();
  const type = avsc.Type.forSchema({
    type: "record",
    name: "Row",
    fields: [
      { name: "id", type: "string" },
      { name: "n", type: "long" },
    ],
  });
  const encoder = avsc.createFileEncoder(join(drop.root, "a.avro"), type, {
    codec: "deflate",
    blockSize: 100,
  });
  for (let i = 0; i < 1000; i++) encoder.write({ id: `r${i}`, n: i });
  encoder.end();
  await once(encoder, "finish");
  await drop.settle({ read: 1 });
  expect(drop.values).toEqual(Array.from({ length: 1000 }, (_, i) => ({ id: `r${i}`, n: i })));
});

test.each(["null", "deflate", "snappy", "zstandard"])(
  "codec %s: bytes changed anywhere give rows, quarantine or a damaged file, and nothing hangs",
  async (codec) => {
    const bytes = readFileSync(new URL(`fixtures/fastavro-${codec}.avro`, import.meta.url));
    const drop = new Drop();
    for (let i = 0; i < 60; i++) {
      const changed = Buffer.from(bytes);
      changed[(i * 7919) % bytes.length]! ^= 1 << (i % 8);
      drop.put(`${i}.avro`, changed);
    }
    const run = drop.start();
    await until(
      () => {
        const { filesRead: read, filesDamaged: damaged } = drop.journal.status;
        expect(Number(read) + Number(damaged)).toBe(60);
      },
      { run },
    );
    await run.stop();
    expect(drop.journal.records.length).toBe(4 * Number(drop.journal.status["filesRead"]));
  },
);

test.each([
  ["no JSON", "{", /no JSON/],
  ["no record", '"string"', /not of a record/],
  ["an unknown type", '{"type":"record","name":"R","fields":[{"name":"a","type":"Other"}]}', /"Other"/],
  [
    "a field without a name",
    '{"type":"record","name":"R","fields":[{"type":"int"}]}',
    /field without a name/,
  ],
  [
    "a fixed type without a size",
    '{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"fixed","name":"F"}}]}',
    /size/,
  ],
])("a schema that is none: %s", (_, schema, says) => {
  expect(() => avroRecord(schema)).toThrow(says);
});
