/** Reading a schema in any accepted language into plain JSON: TypeBox, JSON Schema, Standard JSON Schema. */
import { WeirError } from "./errors.ts";
import type { Json } from "./json.ts";
import { Problems } from "./problems.ts";
import { schemaFormats } from "./schema.ts";
import type { JSONSchema } from "./schema.ts";
import { standardSchema } from "./standard-schema.ts";
import type { StandardProps } from "./standard-schema.ts";

/** Deepest nesting of a schema's own JSON text, and the most values in it. */
const maxSchemaDepth = 100;
const maxSchemaValues = 50_000;

/**
 * The draft 2020-12 schema behind a TypeBox schema, a plain JSON Schema, or any schema that implements Standard JSON Schema
 * (Zod 4, ArkType, Valibot through `toStandardJsonSchema`), as plain JSON. Of a schema that transforms, it is the input side.
 * It is translated, not judged: `contract` says whether it can be used.
 *
 * @throws WeirError `contract_invalid` when there is no JSON Schema in it, or when it holds something JSON Schema cannot say.
 */
export function jsonSchemaOf(input: unknown): JSONSchema {
  const problems = new Problems();
  const schema = readSchema(input, problems);
  if (schema === undefined || !problems.empty) {
    throw new WeirError(
      "contract_invalid",
      `This is not a usable schema:\n  ${problems.lines.join("\n  ")}`,
      {
        cause: problems.cause,
      },
    );
  }
  return schema;
}

/** As jsonSchemaOf, adding to `problems` instead of throwing. */
export function readSchema(input: unknown, problems: Problems): JSONSchema | undefined {
  if (!isObjectLike(input) || Array.isArray(input)) {
    problems.add(
      "fields",
      [],
      "A schema is an object: TypeBox, JSON Schema, Zod 4, ArkType, or Valibot through toStandardJsonSchema.",
    );
    return undefined;
  }
  const standard = (input as { readonly "~standard"?: StandardProps })["~standard"];
  if (standard === undefined) {
    if (typeof input === "function") {
      problems.add("fields", [], "A function is not a schema.");
      return undefined;
    }
    return new SchemaReader(problems, false).read(input);
  }
  const produced = standardSchema(standard, problems);
  return produced === undefined ? undefined : new SchemaReader(problems, true).read(produced);
}

function isObjectLike(input: unknown): input is object {
  return (typeof input === "object" && input !== null) || typeof input === "function";
}

type Steps = readonly (string | number)[];

/** TypeBox marks that a schema runs code of its own, which a contract could not keep outside JavaScript. */
const codeMarks: Readonly<Record<string, string>> = {
  "~refine": "Type.Refine runs code",
  "~codec": "Type.Decode and Type.Encode run code",
};

class SchemaReader {
  readonly #problems: Problems;
  readonly #standard: boolean;
  #values = 0;

  constructor(problems: Problems, standard: boolean) {
    this.#problems = problems;
    this.#standard = standard;
  }

  read(input: object): JSONSchema | undefined {
    const json = this.#copy(input, []);
    return this.#problems.empty ? (json as JSONSchema) : undefined;
  }

  #copy(value: unknown, steps: Steps): Json {
    this.#values++;
    if (steps.length > maxSchemaDepth || this.#values > maxSchemaValues) {
      if (this.#values <= maxSchemaValues || this.#values === maxSchemaValues + 1) {
        this.#problems.add(
          "fields",
          steps.slice(0, 4),
          `A schema is at most ${maxSchemaDepth} levels deep and has at most ${maxSchemaValues} values.`,
        );
      }
      return null;
    }
    if (value === null || typeof value === "string" || typeof value === "boolean") return value;
    if (typeof value === "number" || typeof value === "bigint") return this.#number(value, steps);
    if (value instanceof RegExp) return this.#regExp(value, steps);
    if (Array.isArray(value)) return value.map((item, index) => this.#copy(item, [...steps, index]));
    if (typeof value === "object" || typeof value === "function") return this.#object(value, steps);
    return this.#refuse(steps, `${typeof value} is not JSON.`);
  }

  #number(value: number | bigint, steps: Steps): Json {
    const number = Number(value);
    if (!Number.isFinite(number)) return this.#refuse(steps, `${value} is not a JSON number.`);
    if (typeof value === "bigint" && BigInt(number) !== value) {
      return this.#refuse(steps, `${value} has no exact double, and JSON numbers are doubles here.`);
    }
    return number;
  }

  #regExp(value: RegExp, steps: Steps): Json {
    if (value.flags === "" || value.flags === "u") return value.source;
    return this.#refuse(steps, `JSON Schema patterns have no flags; ${String(value)} has "${value.flags}".`);
  }

  #object(value: object, steps: Steps): Json {
    if (Object.prototype.toString.call(value) !== "[object Object]") {
      return this.#refuse(steps, "Only plain objects are JSON.");
    }
    for (const [mark, what] of Object.entries(codeMarks)) {
      if (mark in value)
        this.#refuse(steps, `${what}; a contract is data. Say it with keywords such as pattern or minimum.`);
    }
    const members: [string, Json][] = [];
    for (const [name, member] of Object.entries(value)) {
      if (member !== undefined) members.push([name, this.#copy(member, [...steps, name])]);
    }
    const copy = Object.fromEntries(members);
    if ((value as { readonly "~kind"?: unknown })["~kind"] === "Tuple") return tuple(copy);
    return this.#standard ? withoutVendorFormat(copy) : copy;
  }

  #refuse(steps: Steps, what: string): null {
    this.#problems.add("fields", steps, what);
    return null;
  }
}

/** TypeBox writes tuples as drafts before 2020-12 did. */
function tuple(schema: Record<string, Json>): Json {
  const { items, additionalItems, ...rest } = schema;
  return {
    ...rest,
    ...(Array.isArray(items) ? { prefixItems: items as Json } : items === undefined ? {} : { items }),
    ...(additionalItems === undefined ? {} : { items: additionalItems }),
  };
}

/**
 * Zod names formats of its own (cuid, e164, base64) beside a pattern that says all there is to check: the pattern stays.
 * Such a format without a pattern stays too, and makes the contract invalid.
 */
function withoutVendorFormat(schema: Record<string, Json>): Json {
  const { format, ...rest } = schema;
  const isVendors = typeof format === "string" && !(schemaFormats as readonly string[]).includes(format);
  return isVendors && typeof schema["pattern"] === "string" ? rest : schema;
}
