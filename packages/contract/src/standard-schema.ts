/** Asking a library that implements Standard JSON Schema for its schema, and refusing what it would leave out. */
import type { Problems } from "./problems.ts";

/** Standard JSON Schema (standardschema.dev/json-schema), the part that Weir calls. */
export interface StandardProps {
  readonly vendor?: string;
  readonly jsonSchema?: {
    readonly input?: (options: StandardOptions) => unknown;
  };
}

interface StandardOptions {
  readonly target: "draft-2020-12";
  readonly libraryOptions?: Readonly<Record<string, unknown>>;
}

/** The library's JSON Schema of what it takes as input; undefined, with a problem added, when it cannot say it. */
export function standardSchema(standard: StandardProps, problems: Problems): object | undefined {
  const vendor = standard.vendor ?? "This library";
  if (typeof standard.jsonSchema?.input !== "function") {
    problems.add(
      "fields",
      [],
      `${vendor} gives no JSON Schema here. Use Zod 4.2 or newer, ArkType 2.2 or newer, or toStandardJsonSchema(...) of @valibot/to-json-schema.`,
    );
    return undefined;
  }
  const libraryOptions = strictOptions[vendor]?.(problems);
  try {
    const produced = standard.jsonSchema.input({
      target: "draft-2020-12",
      ...(libraryOptions === undefined ? {} : { libraryOptions }),
    });
    if (typeof produced === "object" && produced !== null && !Array.isArray(produced)) return produced;
    problems.add("fields", [], `${vendor} gives no JSON Schema object.`);
  } catch (error) {
    problems.cause ??= error;
    const reason = error instanceof Error ? error.message : String(error);
    problems.add("fields", [], `${vendor} cannot say this schema as JSON Schema: ${reason}`);
  }
  return undefined;
}

/** What to pass so that a part of a schema that is code is refused. Without it these two leave it out silently. */
const strictOptions: Readonly<Record<string, (problems: Problems) => Readonly<Record<string, unknown>>>> = {
  zod: (problems) => ({ override: (node: ZodNode) => refuseZodCode(node, problems) }),
  arktype: () => ({ fallback: Object.fromEntries(arkCodes.map((code) => [code, refuseArk(code)])) }),
};

/** Parts of an ArkType type for which its Standard JSON Schema would otherwise be wider than the type. */
const arkCodes = [
  "arrayObject",
  "arrayPostfix",
  "date",
  "domain",
  "patternIntersection",
  "predicate",
  "proto",
  "symbolKey",
  "unit",
] as const;

function refuseArk(code: string): () => never {
  return () => {
    throw new TypeError(
      `it has no word for a part of it (${code}). Say it with what JSON has, or leave it out.`,
    );
  };
}

/** The part of what Zod passes to `override` that is read. */
interface ZodNode {
  readonly zodSchema?: { readonly _zod?: { readonly def?: { readonly checks?: readonly ZodCheck[] } } };
  readonly path?: readonly (string | number)[];
}

interface ZodCheck {
  readonly _zod?: { readonly def?: { readonly check?: string } };
}

function refuseZodCode(node: ZodNode, problems: Problems): void {
  const checks = node.zodSchema?._zod?.def?.checks ?? [];
  if (checks.some((check) => check._zod?.def?.check === "custom")) {
    problems.add(
      "fields",
      node.path ?? [],
      "refine, superRefine and check run code; a contract is data. Say it with what JSON Schema has, such as regex or min.",
    );
  }
}
