/** Judging a schema before anything relies on it: every keyword, format, pattern and reference must be one that holds. */
import { canonicalDecimal, compareDecimals, maxDecimalPrecision } from "./decimal.ts";
import { isJsonObject } from "./json.ts";
import { patternDanger } from "./pattern.ts";
import type { Problems } from "./problems.ts";
import { resolveRef } from "./refs.ts";
import { childSchemas, keywordsOfOthers, schemaFormats, schemaKeywords, schemaTypes } from "./schema.ts";
import type { JSONSchema } from "./schema.ts";

type Steps = readonly (string | number)[];
type Unchecked = Readonly<Record<string, unknown>>;

const draft = "https://json-schema.org/draft/2020-12/schema";

/** Adds a problem for everything in a schema that Weir does not know, cannot check, or would have to ignore. */
export function checkSchema(schema: JSONSchema, problems: Problems): void {
  const walk = (node: unknown, steps: Steps): void => {
    if (typeof node === "boolean") return;
    if (!isJsonObject(node)) {
      problems.add("fields", steps, "A schema is an object, true or false.");
      return;
    }
    checkKeywords(node, steps, problems);
    checkPairs(node, steps, problems);
    checkValues(node, steps, problems);
    checkReference(schema, node, steps, problems);
    for (const child of childSchemas(node)) walk(child.schema, [...steps, ...child.steps]);
  };
  walk(schema, []);
}

function checkKeywords(node: Unchecked, steps: Steps, problems: Problems): void {
  for (const keyword of Object.keys(node)) {
    if (Object.hasOwn(schemaKeywords, keyword)) continue;
    const instead = Object.hasOwn(keywordsOfOthers, keyword) ? ` ${keywordsOfOthers[keyword]}` : "";
    problems.add(
      "fields",
      steps,
      `${JSON.stringify(keyword)} is not a keyword of JSON Schema draft 2020-12.${instead}`,
    );
  }
  if (node["$schema"] !== undefined && node["$schema"] !== draft && node["$schema"] !== `${draft}#`) {
    problems.add("fields", [...steps, "$schema"], `Only ${draft} is read; translate the schema to it.`);
  }
}

/** Keywords that mean nothing without another one. */
const neededBy = [
  ["then", "if"],
  ["else", "if"],
  ["minContains", "contains"],
  ["maxContains", "contains"],
] as const;

function checkPairs(node: Unchecked, steps: Steps, problems: Problems): void {
  for (const [keyword, needed] of neededBy) {
    if (node[keyword] !== undefined && node[needed] === undefined) {
      problems.add("fields", [...steps, keyword], `${keyword} has no effect without ${needed}.`);
    }
  }
  if (node["if"] !== undefined && node["then"] === undefined && node["else"] === undefined) {
    problems.add("fields", [...steps, "if"], "if has no effect without then or else.");
  }
}

function checkValues(node: Unchecked, steps: Steps, problems: Problems): void {
  const { type, format, pattern, patternProperties, decimal } = node;
  for (const name of Array.isArray(type) ? type : [type]) {
    if (name !== undefined && !schemaTypes.includes(String(name))) {
      problems.add(
        "fields",
        [...steps, "type"],
        `${JSON.stringify(name)} is not a JSON Schema type; those are ${schemaTypes.join(", ")}.`,
      );
    }
  }
  if (format !== undefined && !(schemaFormats as readonly unknown[]).includes(format)) {
    problems.add(
      "fields",
      [...steps, "format"],
      `${JSON.stringify(format)} is not a format that can be checked; those are ${schemaFormats.join(", ")}. Write a pattern instead.`,
    );
  }
  if (Array.isArray(node["enum"]) && node["enum"].length === 0) {
    problems.add("fields", [...steps, "enum"], "An enum without values accepts nothing.");
  }
  if (typeof pattern === "string") checkPattern(pattern, [...steps, "pattern"], problems);
  if (isJsonObject(patternProperties)) {
    for (const name of Object.keys(patternProperties))
      checkPattern(name, [...steps, "patternProperties", name], problems);
  }
  if (decimal !== undefined) checkDecimal(decimal, [...steps, "decimal"], problems);
  // Ajv leaves this name out of properties without a word, so that nothing would check the member.
  for (const keyword of ["properties", "dependentRequired", "dependentSchemas"]) {
    const map = node[keyword];
    if (isJsonObject(map) && Object.hasOwn(map, "__proto__")) {
      problems.add("fields", [...steps, keyword, "__proto__"], "This name cannot be used for a field.");
    }
  }
}

function checkPattern(pattern: string, steps: Steps, problems: Problems): void {
  try {
    // The flag that JSON Schema asks for (Core 6.4): characters are code points.
    void new RegExp(pattern, "u");
  } catch (error) {
    const reason = (error as Error).message;
    problems.add(
      "fields",
      steps,
      `This is not a regular expression of ECMA-262 in Unicode mode (${reason}).`,
    );
    return;
  }
  const danger = patternDanger(pattern);
  if (danger !== undefined) problems.add("fields", steps, danger);
}

function checkDecimal(rule: unknown, steps: Steps, problems: Problems): void {
  if (!isJsonObject(rule)) {
    problems.add("fields", steps, "decimal is an object { precision, scale, minimum?, maximum? }.");
    return;
  }
  const { precision, scale, minimum, maximum, ...others } = rule;
  for (const name of Object.keys(others))
    problems.add("fields", [...steps, name], "decimal has no such member.");
  if (!isWhole(precision, 1, maxDecimalPrecision)) {
    problems.add(
      "fields",
      [...steps, "precision"],
      `precision is a whole number from 1 to ${maxDecimalPrecision}.`,
    );
  } else if (!isWhole(scale, 0, precision as number)) {
    problems.add(
      "fields",
      [...steps, "scale"],
      `scale is a whole number from 0 to precision, which is ${JSON.stringify(precision)}.`,
    );
  }
  for (const [name, bound] of Object.entries({ minimum, maximum })) {
    if (bound !== undefined && canonicalDecimal(bound) === undefined) {
      problems.add("fields", [...steps, name], 'A bound is a decimal: a number, or a string such as "0.01".');
    }
  }
  if (minimum !== undefined && maximum !== undefined && compareDecimals(minimum, maximum) > 0) {
    problems.add("fields", steps, "minimum is above maximum, so nothing is allowed.");
  }
}

function isWhole(value: unknown, least: number, greatest: number): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= least && value <= greatest;
}

function checkReference(root: JSONSchema, node: Unchecked, steps: Steps, problems: Problems): void {
  const reference = node["$ref"];
  if (typeof reference === "string" && resolveRef(root, reference) === undefined) {
    problems.add(
      "fields",
      [...steps, "$ref"],
      `${JSON.stringify(reference)} is not in this schema. Nothing is fetched; put the definition under $defs and refer to #/$defs/<name>.`,
    );
  }
}
