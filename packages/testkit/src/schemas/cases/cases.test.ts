import { childSchemas, schemaFormats, schemaKeywords, validator } from "@weir/contract";
import type { Subschema } from "@weir/contract";
import { describe, expect, test } from "vitest";
import { caseTables } from "./all.ts";
import { caseContract, caseRecord } from "./case.ts";

describe("the validator gives the stated verdict", () => {
  test.each(caseTables.map((table) => [table.name, table] as const))("%s", (_, table) => {
    const judge = validator(caseContract(table));
    const wrong = table.cases.filter((item) => {
      const record: unknown = JSON.parse(caseRecord("1", item));
      return (judge(record).length === 0) !== item.valid;
    });
    expect(wrong).toEqual([]);
  });
});

describe("the tables", () => {
  test("have names and texts of their own", () => {
    const names = caseTables.map((table) => table.name);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
    for (const { name, cases } of caseTables) {
      const texts = cases.map((item) => item.text);
      expect(
        texts.filter((text, index) => texts.indexOf(text) !== index),
        name,
      ).toEqual([]);
    }
  });

  test("hold minified, strict JSON", () => {
    for (const { name, cases } of caseTables) {
      for (const { text } of cases) {
        expect(() => JSON.parse(text) as unknown, `${name}: ${text}`).not.toThrow();
        expect(text.isWellFormed(), name).toBe(true);
        expect(text.replaceAll(/"(?:[^"\\]|\\.)*"/g, ""), name).not.toMatch(/\s/);
      }
    }
  });

  test("show every keyword and every format", () => {
    const schemas = caseTables
      .flatMap((table) => [table.schema, ...Object.values(table.definitions ?? {})])
      .flatMap(withInner);
    const keywords = new Set(schemas.flatMap((schema) => Object.keys(schema)));
    // These say where a schema is, not what a value must be; `contentSchema` is a note, and `pii` says what becomes of a value.
    const elsewhere = ["$schema", "$id", "$defs", "contentSchema", "pii"];
    expect(
      Object.keys(schemaKeywords).filter((keyword) => !keywords.has(keyword) && !elsewhere.includes(keyword)),
    ).toEqual([]);
    const formats = new Set(schemas.map((schema) => schema["format"]));
    expect(schemaFormats.filter((format) => !formats.has(format))).toEqual([]);
  });
});

function withInner(schema: Subschema): Record<string, unknown>[] {
  if (typeof schema === "boolean") return [];
  const node = schema as Record<string, unknown>;
  return [node, ...childSchemas(node).flatMap((child) => withInner(child.schema as Subschema))];
}
