/** What is wrong with a record, one entry a broken rule. */
import type { ErrorObject } from "ajv";
import { cutJson, cutText } from "./json.ts";
import { escapePointer } from "./pointer.ts";

/** Longest `expected` and `found`, in characters (code points). */
export const maxShownLength = 200;

/** Most violations reported of one record. */
export const maxViolations = 100;

export interface Violation {
  /** JSON pointer (RFC 6901) to the offending value; for a member that is missing, to where it should be. */
  readonly pointer: string;
  /** The keyword of the schema that is broken; `false` where nothing is allowed. */
  readonly keyword: string;
  /** JSON text of what the keyword asks for, cut at 200 characters: `"integer"`, `0`, `["a","b"]`; for `required`, the member's name. */
  readonly expected: string;
  /** JSON text of what stands at the pointer, cut at 200 characters; empty when nothing does. */
  readonly found: string;
  /** The same as a sentence. */
  readonly message: string;
}

interface Broken {
  readonly pointer: string;
  readonly keyword: string;
  readonly expected: unknown;
  /** Undefined when the value is missing; no JSON value is undefined. */
  readonly found: unknown;
}

/** Ajv's errors (made with `verbose`) as violations, in its order, each once, at most `maxViolations`. */
export function violationsOf(errors: readonly ErrorObject[]): Violation[] {
  const violations = new Map<string, Violation>();
  const mistyped = placesOfWrongType(errors);
  for (const error of errors) {
    if (violations.size === maxViolations) break;
    // A value of the wrong type is none of the listed values either; saying so twice helps nobody.
    const isListing = error.keyword === "enum" || error.keyword === "const";
    if (isListing && mistyped.get(error.parentSchema)?.has(error.instancePath) === true) continue;
    const broken = brokenRule(error);
    const expected = cutJson(broken.expected, maxShownLength);
    const found = broken.found === undefined ? "" : cutJson(broken.found, maxShownLength);
    const { pointer, keyword } = broken;
    const key = `${pointer}\n${keyword}\n${expected}`;
    if (!violations.has(key)) {
      violations.set(key, {
        pointer,
        keyword,
        expected,
        found,
        message: sentence(pointer, keyword, expected, found),
      });
    }
  }
  return [...violations.values()];
}

/** Per schema, the places where its `type` is broken. */
function placesOfWrongType(errors: readonly ErrorObject[]): Map<unknown, Set<string>> {
  const places = new Map<unknown, Set<string>>();
  for (const { keyword, parentSchema, instancePath } of errors) {
    if (keyword !== "type") continue;
    const known = places.get(parentSchema);
    if (known === undefined) places.set(parentSchema, new Set([instancePath]));
    else known.add(instancePath);
  }
  return places;
}

function brokenRule(error: ErrorObject): Broken {
  const { instancePath, keyword, params, propertyName } = error;
  const at = (name: unknown): string => `${instancePath}/${escapePointer(String(name))}`;
  const found: unknown = error.data;
  switch (keyword) {
    case "required":
    case "dependentRequired": {
      const name: unknown = params["missingProperty"];
      return { pointer: at(name), keyword, expected: name, found: undefined };
    }
    case "additionalProperties":
    case "unevaluatedProperties": {
      const name = String(params["additionalProperty"] ?? params["unevaluatedProperty"]);
      return { pointer: at(name), keyword, expected: false, found: (found as Record<string, unknown>)[name] };
    }
    case "propertyNames": {
      const name = String(params["propertyName"]);
      return { pointer: at(name), keyword, expected: error.schema, found: name };
    }
    case "false schema": {
      const pointer = propertyName === undefined ? instancePath : at(propertyName);
      return { pointer, keyword: "false", expected: false, found };
    }
    default: {
      const pointer = propertyName === undefined ? instancePath : at(propertyName);
      return { pointer, keyword, expected: error.schema, found };
    }
  }
}

function sentence(pointer: string, keyword: string, expected: string, found: string): string {
  const place = pointer === "" ? "The record" : cutText(pointer, maxShownLength);
  if (found === "") return `${place} is missing.`;
  return `${place} is ${found}, which breaks ${keyword} ${expected}.`;
}
