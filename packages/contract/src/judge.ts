/** Ajv as Weir uses it: draft 2020-12, strict about the schema, exact about the record. */
import { Ajv2020 } from "ajv/dist/2020.js";
import type { ErrorObject, ValidateFunction } from "ajv/dist/2020.js";
import ajvFormats from "ajv-formats";
import { decimalTest } from "./decimal.ts";
import type { DecimalRule } from "./decimal.ts";
import { canonicalJson } from "./json.ts";
import { compilePattern } from "./pattern.ts";
import { schemaFormats } from "./schema.ts";
import type { JSONSchema } from "./schema.ts";
import { isDate, isDateTime, isTime } from "./time-format.ts";

/**
 * A judge that stops at the first violation, or one that finds all of them. Their verdicts are equal.
 *
 * Not Ajv's defaults, and why:
 * - `strictTypes`, `strictTuples`, `strictRequired` off: they forbid valid JSON Schema that libraries write.
 * - `ownProperties`: without it `{}` has a member "constructor" (and fails if a contract gives that a type).
 * - Patterns run in time linear in the text (see compilePattern).
 * - `date`, `time` and `date-time` are our own, the formats of RFC 3339 and nothing else (see isTime).
 * - `enum`, `const` and `uniqueItems` are our own: Ajv's call `valueOf` and `toString` of the values, so that a record with a
 *   member of that name throws or is judged wrongly; and its `uniqueItems` compares every pair, which is quadratic.
 */
export function compileJudge(schema: JSONSchema, allErrors: boolean): ValidateFunction {
  const ajv = new Ajv2020({
    strict: true,
    strictTypes: false,
    strictTuples: false,
    strictRequired: false,
    allowMatchingProperties: true,
    ownProperties: true,
    validateSchema: false,
    addUsedSchema: false,
    allErrors,
    verbose: true,
    messages: false,
    logger: false,
    code: { regExp },
  });
  ajvFormats.default(ajv, { mode: "full", formats: [...schemaFormats], keywords: false });
  ajv.addFormat("date", { type: "string", validate: isDate });
  ajv.addFormat("time", { type: "string", validate: isTime });
  ajv.addFormat("date-time", { type: "string", validate: isDateTime });
  addOwnKeywords(ajv);
  return ajv.compile(schema);
}

/** Ajv tells patterns apart by `toString`. `code` is what it would write into a source file, which is never asked for. */
const regExp = Object.assign(
  (pattern: string) => {
    const compiled = compilePattern(pattern);
    return { test: (text: string) => compiled.test(text), toString: () => pattern };
  },
  { code: "compilePattern" },
);

function addOwnKeywords(ajv: Ajv2020): void {
  ajv.addKeyword({
    keyword: "decimal",
    type: ["string", "number"],
    schemaType: "object",
    compile: (rule: DecimalRule) => decimalTest(rule),
    errors: false,
  });
  // Ajv resolves anchors but leaves the keyword out of its list, so that strict mode would refuse it.
  ajv.addKeyword("$anchor");
  // Says nothing about what is valid.
  ajv.addKeyword("pii");
  for (const keyword of ["enum", "const", "uniqueItems"]) ajv.removeKeyword(keyword);
  ajv.addKeyword({ keyword: "enum", schemaType: "array", compile: isOneOf, errors: false });
  ajv.addKeyword({ keyword: "const", compile: (value: unknown) => isOneOf([value]), errors: false });
  ajv.addKeyword({
    keyword: "uniqueItems",
    type: "array",
    schemaType: "boolean",
    compile: (wanted: boolean) => (items: readonly unknown[]) =>
      !wanted || new Set(items.map(identity)).size === items.length,
    errors: false,
  });
}

function isOneOf(values: readonly unknown[]): (value: unknown) => boolean {
  const known = new Set(values.map(identity));
  return (value) => known.has(identity(value));
}

/** Two JSON values have the same identity when JSON Schema calls them equal (Core 4.2.2): 1.0 and 1 are, 1 and "1" are not. */
function identity(value: unknown): unknown {
  // A Set holds 0 and -0 equal. The marks keep the text of an object apart from every string.
  if (typeof value === "object" && value !== null) return `\u0000${canonicalJson(value)}`;
  return typeof value === "string" && value.startsWith("\u0000") ? `\u0000"${value}` : value;
}

const metaSchema = new Ajv2020({ allErrors: true, logger: false, messages: true, strict: false });

/** What the draft's own schema finds wrong with a schema, whatever draft the schema says it is of. */
export function metaSchemaErrors(written: JSONSchema): readonly ErrorObject[] {
  const { $schema: _, ...schema } = written;
  return metaSchema.validateSchema(schema) === true ? [] : (metaSchema.errors ?? []);
}
