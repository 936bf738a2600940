/** Documents that a schema accepts, as far as that can be arranged without judging; good starting points for near misses. */
import { isJsonObject } from "@weir/contract";
import type { JSONSchema, SchemaType, Subschema } from "@weir/contract";
import * as fc from "fast-check";
import { array, documentOf, object, spellings, string, token } from "./document.ts";
import type { Document, Member } from "./document.ts";
import { numberTokens, oddStrings } from "./edges.ts";
import { memberName } from "./names.ts";
import { decimalDocument, numberDocument, stringValue } from "./scalar-document.ts";

type Documents = fc.Arbitrary<Document>;

/** What a draw goes by. */
export interface Draw {
  /** Where references lead. */
  readonly root: JSONSchema;
  /** Whether values come from the edges too, where about half are wrong, or only from well inside. */
  readonly edges: boolean;
}

/** Documents for a schema. Deeper than 6 levels everything is null. */
export function validDocument(schema: Subschema, draw: Draw, depth = 6): Documents {
  if (schema === true) return wildDocument(1);
  if (schema === false || depth === 0) return fc.constant(token("null"));
  const composed = composedDocument(schema, draw, depth);
  if (composed !== undefined) return composed;
  if (schema.const !== undefined) return fc.constant(documentOf(schema.const));
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum).map(documentOf);
  if (schema.decimal !== undefined) return orNull(schema, decimalDocument(schema.decimal, draw.edges));
  const types = typesOf(schema);
  return fc.oneof(...types.map((type) => typedDocument(type, schema, draw, depth)));
}

function composedDocument(schema: JSONSchema, draw: Draw, depth: number): Documents | undefined {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.replace("#/$defs/", "");
    return validDocument(draw.root.$defs?.[name] ?? true, draw, depth - 1);
  }
  const { anyOf, oneOf, allOf, if: condition, then: yes, else: no, ...rest } = schema;
  const branches = anyOf ?? oneOf;
  if (branches !== undefined) {
    return fc.oneof(...branches.map((branch) => validDocument(withBranch(rest, branch), draw, depth)));
  }
  if (allOf !== undefined) return validDocument(allOf.reduce(withBranch, rest as Subschema), draw, depth);
  if (condition === undefined) return undefined;
  return fc.oneof(
    validDocument(withBranch(withBranch(rest, condition), yes ?? true), draw, depth),
    validDocument(withBranch(rest, no ?? true), draw, depth),
  );
}

/** Both schemas in one object, the second winning; enough for a starting point. */
function withBranch(schema: Subschema, branch: Subschema): Subschema {
  if (typeof schema === "boolean") return branch;
  if (typeof branch === "boolean") return schema;
  const properties = { ...schema.properties, ...branch.properties };
  const required = [...(schema.required ?? []), ...(branch.required ?? [])];
  return {
    ...schema,
    ...branch,
    ...(Object.keys(properties).length === 0 ? {} : { properties }),
    ...(required.length === 0 ? {} : { required }),
  };
}

function typesOf(schema: JSONSchema): readonly SchemaType[] {
  if (typeof schema.type === "string") return [schema.type];
  if (schema.type !== undefined) return schema.type;
  if (schema.properties !== undefined || schema.required !== undefined) return ["object"];
  if (schema.items !== undefined) return ["array"];
  if (schema.pattern !== undefined || schema.minLength !== undefined) return ["string"];
  return ["string", "number", "boolean", "null", "object", "array"];
}

function orNull(schema: JSONSchema, documents: Documents): Documents {
  if (!typesOf(schema).includes("null")) return documents;
  return fc.oneof({ weight: 3, arbitrary: documents }, fc.constant(token("null")));
}

function typedDocument(type: SchemaType, schema: JSONSchema, draw: Draw, depth: number): Documents {
  switch (type) {
    case "null":
      return fc.constant(token("null"));
    case "boolean":
      return fc.boolean().map((value) => token(String(value)));
    case "integer":
    case "number":
      return numberDocument(schema, type === "integer", draw.edges);
    case "string":
      return fc
        .tuple(stringValue(schema, draw.edges), fc.constantFrom(...spellings))
        .map(([value, spelling]) => string(value, spelling));
    case "array":
      return arrayDocument(schema, draw, depth);
    case "object":
      return objectDocument(schema, draw, depth);
  }
}

function arrayDocument(schema: JSONSchema, draw: Draw, depth: number): Documents {
  const { prefixItems = [], items = true, contains, minItems = 0, maxItems = minItems + 3 } = schema;
  const rest = fc.array(validDocument(items, draw, depth - 1), {
    minLength: Math.max(0, Math.min(minItems, 20) - prefixItems.length),
    maxLength: Math.max(
      0,
      Math.min(maxItems, 20) - prefixItems.length,
      Math.min(minItems, 20) - prefixItems.length,
    ),
  });
  const first = fc.tuple(...prefixItems.map((item) => validDocument(item, draw, depth - 1)));
  const found =
    contains === undefined
      ? fc.constant([])
      : fc.array(validDocument(contains, draw, depth - 1), { maxLength: 2 });
  return fc.tuple(first, found, rest).map(([first, found, rest]) => array([...first, ...found, ...rest]));
}

function objectDocument(schema: JSONSchema, draw: Draw, depth: number): Documents {
  const required = new Set(schema.required);
  const members = Object.entries(schema.properties ?? {}).map(([name, field]) =>
    fc
      .tuple(validDocument(field, draw, depth - 1), fc.nat(9))
      .map(([value, n]): Member[] => (required.has(name) || n > 2 ? [[name, value]] : [])),
  );
  const unlisted = [...required].filter(
    (name) => !isJsonObject(schema.properties) || !Object.hasOwn(schema.properties, name),
  );
  const other = typeof schema.additionalProperties === "object" ? schema.additionalProperties : true;
  const extra =
    schema.additionalProperties === false
      ? fc.constant([])
      : fc.array(fc.tuple(memberName(), validDocument(other, draw, depth - 1)), {
          maxLength: typeof other === "object" ? 3 : 1,
        });
  return fc
    .tuple(
      fc.tuple(...members),
      fc.tuple(...unlisted.map(() => validDocument(other, draw, depth - 1))),
      extra,
    )
    .map(([members, values, extra]) =>
      object([
        ...members.flat(),
        ...unlisted.map((name, index): Member => [name, values[index] ?? token("null")]),
        ...extra,
      ]),
    );
}

/** Any JSON document, up to some levels deep. */
export function wildDocument(depth: number): Documents {
  const scalar = fc.oneof(
    fc.constantFrom("null", "true", "false").map(token),
    fc.constantFrom(...numberTokens).map(token),
    fc
      .tuple(fc.constantFrom(...oddStrings), fc.constantFrom(...spellings))
      .map(([value, spelling]) => string(value, spelling)),
    fc.string({ unit: "binary", maxLength: 6 }).map((value) => string(value)),
  );
  if (depth === 0) return scalar;
  const inner = wildDocument(depth - 1);
  return fc.oneof(
    { weight: 3, arbitrary: scalar },
    { weight: 1, arbitrary: fc.array(inner, { maxLength: 3 }).map(array) },
    { weight: 1, arbitrary: fc.array(fc.tuple(memberName(), inner), { maxLength: 3 }).map(object) },
  );
}
