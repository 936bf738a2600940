/** What a contract asks of its own fields, beyond what JSON Schema asks of a schema. */
import type { Problems } from "./problems.ts";
import type { JSONSchema, Subschema } from "./schema.ts";

/** Longest field name, in characters (UTF-16 code units). Warehouses stop at 128 to 300. */
export const maxFieldNameLength = 128;

export interface FieldRoles {
  readonly id: unknown;
  readonly key: unknown;
  readonly time: unknown;
}

/** Checks the names of all declared fields, and that id, key and time are fields that can play their part. */
export function checkFields(schema: JSONSchema, roles: FieldRoles, problems: Problems): void {
  if (schema.type !== "object") {
    problems.add("fields", ["type"], `A record is an object, so the schema's type is "object".`);
    return;
  }
  checkNames(schema, [], problems);
  checkRole("id", roles.id, schema, problems);
  if (roles.key !== undefined) checkRole("key", roles.key, schema, problems);
  checkRole("time", roles.time, schema, problems);
}

type Steps = readonly (string | number)[];

/** Every declared field becomes a column, or a member of a struct column; engines compare those names without regard to case. */
function checkNames(schema: Subschema | undefined, steps: Steps, problems: Problems): void {
  if (typeof schema !== "object") return;
  const seen = new Map<string, string>();
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const at = [...steps, "properties", name];
    const problem = nameProblem(name, steps.length === 0);
    if (problem !== undefined) problems.add("fields", at, problem);
    const twin = seen.get(name.toLowerCase());
    if (twin !== undefined) {
      problems.add(
        "fields",
        at,
        `The name differs from ${JSON.stringify(twin)} only in case, and column names have none.`,
      );
    }
    seen.set(name.toLowerCase(), name);
    checkNames(field, at, problems);
  }
  checkNames(schema.items, [...steps, "items"], problems);
  checkNames(schema.additionalProperties, [...steps, "additionalProperties"], problems);
}

function nameProblem(name: string, isTopLevel: boolean): string | undefined {
  if (name === "") return "A field needs a name.";
  if (name.length > maxFieldNameLength) return `A field name has at most ${maxFieldNameLength} characters.`;
  if (/\p{Cc}/u.test(name)) return "A field name has no control characters.";
  if (isTopLevel && name.startsWith("_"))
    return "Names that start with _ are reserved for Weir's own columns.";
  return undefined;
}

const roleKinds = {
  id: "a required string or integer",
  key: "a string or integer, which may be optional or nullable",
  time: "a required string of format date-time, as timestamp() makes",
} as const;

function checkRole(
  role: keyof typeof roleKinds,
  name: unknown,
  schema: JSONSchema,
  problems: Problems,
): void {
  const fields = schema.properties ?? {};
  if (typeof name !== "string") {
    problems.add(role, [], `Name the field that is the record's ${role}: ${roleKinds[role]}.`);
    return;
  }
  const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
  if (typeof field !== "object") {
    const names = Object.keys(fields)
      .slice(0, 30)
      .map((field) => JSON.stringify(field))
      .join(", ");
    problems.add(
      role,
      [],
      `There is no field ${JSON.stringify(name)} in the schema's own properties; there are: ${names}.`,
    );
    return;
  }
  const required = role === "key" || (schema.required ?? []).includes(name);
  if (!required || !playsRole(role, field)) {
    problems.add(
      role,
      [],
      `The field ${JSON.stringify(name)} cannot be the ${role}: it must be ${roleKinds[role]}.`,
    );
  }
}

function playsRole(role: keyof typeof roleKinds, field: JSONSchema): boolean {
  const types = typeof field.type === "string" ? [field.type] : (field.type ?? []);
  if (role === "time") return types.join(",") === "string" && field.format === "date-time";
  const [first, ...others] = types.filter((type) => role !== "key" || type !== "null");
  return others.length === 0 && (first === "string" || first === "integer");
}
