import { compareDecimals } from "./decimal.ts";
import type { DecimalRule } from "./decimal.ts";
import { canonicalJson } from "./json.ts";
import { jsonPointer } from "./pointer.ts";
import type { PiiTag, RowTags } from "./privacy.ts";
import { schemaKeywords } from "./schema.ts";
import type { JSONSchema, SchemaType, Subschema } from "./schema.ts";

/** What a change does to the records that are accepted. `other`: some more and some fewer, or it cannot be told. */
export type Effect = "same" | "more" | "fewer" | "other";

export interface SchemaChange {
  /** JSON pointer into the schema. */
  readonly pointer: string;
  /** What changed, for people. */
  readonly what: string;
  readonly effect: Effect;
}

export interface Compatibility {
  /** The later contract accepts every record of the earlier one. */
  readonly backward: boolean;
  /** The earlier contract accepts every record of the later one. */
  readonly forward: boolean;
  readonly changes: readonly SchemaChange[];
}

type Path = readonly (string | number)[];

/**
 * Compares two effective schemas of a contract, for records that have no members but those that their contract declares: a
 * new optional field then breaks neither side, as one that the other side does not know is kept.
 *
 * `backward` and `forward` are never wrongly true. They may be wrongly false where only a proof about the whole schema would
 * tell (patterns, `not`, `if`, references).
 */
export function compatibility(before: JSONSchema, after: JSONSchema): Compatibility {
  const changes: SchemaChange[] = [];
  new Comparison(changes).schemas(before, after, []);
  const all = (...effects: Effect[]): boolean => changes.every(({ effect }) => effects.includes(effect));
  return { backward: all("same", "more"), forward: all("same", "fewer"), changes };
}

/** A larger value of these accepts fewer, or more. */
const lowerBounds = new Set(["minLength", "minimum", "exclusiveMinimum", "minItems", "minProperties"]);
const upperBounds = new Set(["maxLength", "maximum", "exclusiveMaximum", "maxItems", "maxProperties"]);
const entangledAssertions = new Set<string>(["$ref", "minContains", "maxContains"]);
/** Looked at together, by a method of their own. */
const together = new Set([
  "type",
  "enum",
  "const",
  "required",
  "properties",
  "additionalProperties",
  "items",
  "anyOf",
  "decimal",
  "multipleOf",
]);

const equal = (a: unknown, b: unknown): boolean => canonicalJson(a ?? null) === canonicalJson(b ?? null);
const shown = (value: unknown): string => JSON.stringify(value);

class Comparison {
  readonly #changes: SchemaChange[];

  constructor(changes: SchemaChange[]) {
    this.#changes = changes;
  }

  schemas(before: Subschema, after: Subschema, path: Path): void {
    if (equal(before, after)) return;
    if (typeof before === "boolean" || typeof after === "boolean") {
      const effect = isAnything(after)
        ? "more"
        : isAnything(before)
          ? "fewer"
          : after === false
            ? "fewer"
            : before === false
              ? "more"
              : "other";
      this.#add(path, `${shown(before)} is ${shown(after)} now`, effect);
      return;
    }
    const keywords = new Set([...Object.keys(before), ...Object.keys(after)]) as Set<keyof JSONSchema>;
    this.#types(before, after, path);
    this.#values(before, after, path);
    this.#required(before, after, path);
    this.#members(before, after, path);
    this.#decimal(before.decimal, after.decimal, path);
    this.#multiple(before, after, path);
    this.#union(before.anyOf, after.anyOf, path);
    this.#items(before, after, path);
    this.#tag(before.pii, after.pii, path);
    for (const keyword of keywords) {
      const isNote = schemaKeywords[keyword] === "annotation";
      if (!isNote && !together.has(keyword)) this.#keyword(keyword, before[keyword], after[keyword], path);
    }
  }

  /** Of which records are accepted a tag changes nothing. */
  #tag(before: PiiTag | undefined, after: PiiTag | undefined, path: Path): void {
    if (before !== after) this.#add([...path, "pii"], tagChange(before, after), "same");
  }

  #add(path: Path, what: string, effect: Effect): void {
    this.#changes.push({ pointer: jsonPointer(path), what, effect });
  }

  #keyword(keyword: keyof JSONSchema, before: unknown, after: unknown, path: Path): void {
    if (equal(before, after)) return;
    const place = [...path, keyword];
    // What these mean depends on others, or their meaning is the other way round.
    const entangled = schemaKeywords[keyword] !== "assertion" || entangledAssertions.has(keyword);
    if (before === undefined)
      this.#add(place, `${shown(after)} is asked for now`, entangled ? "other" : "fewer");
    else if (after === undefined)
      this.#add(place, `${shown(before)} is not asked for any more`, entangled ? "other" : "more");
    else
      this.#add(place, `it was ${shown(before)} and is ${shown(after)}`, boundEffect(keyword, before, after));
  }

  #types({ type: before }: JSONSchema, { type: after }: JSONSchema, path: Path): void {
    if (equal(before, after)) return;
    const [old, now] = [typesOf(before), typesOf(after)];
    const effect = effectOf(covers(now, old), covers(old, now));
    this.#add([...path, "type"], `it was ${shown(before ?? "any")} and is ${shown(after ?? "any")}`, effect);
  }

  #values(before: JSONSchema, after: JSONSchema, path: Path): void {
    const [old, now] = [valuesOf(before), valuesOf(after)];
    if (old === undefined && now === undefined) return;
    const place = [...path, after.const === undefined && before.const === undefined ? "enum" : "const"];
    if (old === undefined) this.#add(place, "only some values are allowed now", "fewer");
    else if (now === undefined) this.#add(place, "any value is allowed now", "more");
    else {
      const gone = [...old].filter((value) => !now.has(value));
      const come = [...now].filter((value) => !old.has(value));
      if (gone.length > 0) this.#add(place, `${gone.join(", ")} not allowed any more`, "fewer");
      if (come.length > 0) this.#add(place, `${come.join(", ")} allowed now`, "more");
    }
  }

  #required(before: JSONSchema, after: JSONSchema, path: Path): void {
    const [old, now] = [before.required ?? [], after.required ?? []];
    for (const name of now)
      if (!old.includes(name)) this.#add([...path, "required"], `${shown(name)} is required now`, "fewer");
    for (const name of old)
      if (!now.includes(name)) this.#add([...path, "required"], `${shown(name)} is optional now`, "more");
  }

  /** Members of objects: what one side does not declare is what its `additionalProperties` says. */
  #members(before: JSONSchema, after: JSONSchema, path: Path): void {
    const [old, now] = [before.properties ?? {}, after.properties ?? {}];
    const [oldRest, nowRest] = [before.additionalProperties ?? true, after.additionalProperties ?? true];
    // There, what a member has to be is not said in one place.
    const isSpread = [before, after].some(
      (one) => one.patternProperties !== undefined || one.unevaluatedProperties !== undefined,
    );
    if (isSpread && !equal(Object.keys(old).sort(), Object.keys(now).sort())) {
      this.#add(
        [...path, "properties"],
        "fields came or went beside patternProperties or unevaluatedProperties",
        "other",
      );
      return;
    }
    for (const name of new Set([...Object.keys(old), ...Object.keys(now)])) {
      const place = [...path, "properties", name];
      const [was, is] = [own(old, name), own(now, name)];
      if (was !== undefined && is !== undefined) this.schemas(was, is, place);
      else if (was === undefined) {
        if (isAnything(oldRest)) this.#add(place, "a new field", "same");
        else if (oldRest === false) this.#add(place, "a new field, where there could be no others", "more");
        else this.schemas(oldRest, is as Subschema, place);
      } else if (isAnything(nowRest))
        this.#add(place, "a field less; records that have it keep it in _extra", "same");
      else if (nowRest === false) this.#add(place, "a field less, and there may be no others", "fewer");
      else this.schemas(was, nowRest, place);
    }
    this.schemas(oldRest, nowRest, [...path, "additionalProperties"]);
  }

  #decimal(before: DecimalRule | undefined, after: DecimalRule | undefined, path: Path): void {
    if (equal(before, after)) return;
    const place = [...path, "decimal"];
    if (before === undefined || after === undefined) {
      this.#add(
        place,
        after === undefined ? "any number of digits now" : "a decimal now",
        after === undefined ? "more" : "fewer",
      );
      return;
    }
    const within = (a: DecimalRule, b: DecimalRule): boolean =>
      a.precision - a.scale <= b.precision - b.scale &&
      a.scale <= b.scale &&
      (b.minimum === undefined || (a.minimum !== undefined && compareDecimals(a.minimum, b.minimum) >= 0)) &&
      (b.maximum === undefined || (a.maximum !== undefined && compareDecimals(a.maximum, b.maximum) <= 0));
    this.#add(
      place,
      `it was ${shown(before)} and is ${shown(after)}`,
      effectOf(within(before, after), within(after, before)),
    );
  }

  #multiple(
    { multipleOf: before, ...old }: JSONSchema,
    { multipleOf: after, ...now }: JSONSchema,
    path: Path,
  ): void {
    if (before === after) return;
    const place = [...path, "multipleOf"];
    if (before === undefined) this.#add(place, `a multiple of ${after} is asked for now`, "fewer");
    else if (after === undefined)
      this.#add(place, `a multiple of ${before} is not asked for any more`, "more");
    else {
      // Of fractions, and of numbers past 10^21, Ajv takes a quotient for whole or not as rounding falls.
      const isExact =
        old.type === "integer" &&
        now.type === "integer" &&
        Number.isInteger(before) &&
        Number.isInteger(after);
      const effect = isExact ? effectOf(before % after === 0, after % before === 0) : "other";
      this.#add(place, `it was ${before} and is ${after}`, effect);
    }
  }

  /** Branches that came or went; or one that changed. */
  #union(
    before: readonly Subschema[] | undefined,
    after: readonly Subschema[] | undefined,
    path: Path,
  ): void {
    if (equal(before, after)) return;
    const place = [...path, "anyOf"];
    if (before === undefined || after === undefined) {
      this.#add(
        place,
        before === undefined ? "alternatives are asked for now" : "alternatives are not asked for any more",
        before === undefined ? "fewer" : "more",
      );
      return;
    }
    const has = (list: readonly Subschema[], one: Subschema): boolean =>
      list.some((other) => equal(one, other));
    const gone = before.flatMap((one, i) => (has(after, one) ? [] : [i]));
    const come = after.flatMap((one, i) => (has(before, one) ? [] : [i]));
    const [old, now] = [gone[0], come[0]];
    if (old !== undefined && now !== undefined && gone.length === 1 && come.length === 1) {
      this.schemas(before[old] as Subschema, after[now] as Subschema, [...place, now]);
      return;
    }
    if (gone.length > 0) this.#add(place, `${gone.length} alternatives less`, "fewer");
    if (come.length > 0) this.#add(place, `${come.length} alternatives more`, "more");
  }

  #items(before: JSONSchema, after: JSONSchema, path: Path): void {
    // Which elements it is about depends on prefixItems, and what is left over on unevaluatedItems.
    const isSpread = [before, after].some((one) => one.unevaluatedItems !== undefined);
    if (!isSpread && equal(before.prefixItems, after.prefixItems))
      this.schemas(before.items ?? true, after.items ?? true, [...path, "items"]);
    else if (!equal(before.items, after.items))
      this.#add([...path, "items"], "it changed beside prefixItems or unevaluatedItems", "other");
  }
}

/** Changes of the tags of a captured source's columns, by stream and column. */
export function rowTagChanges(before: RowTags, after: RowTags): SchemaChange[] {
  const streams = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...streams].flatMap((stream) => {
    const [old, now] = [own(before, stream) ?? {}, own(after, stream) ?? {}];
    return [...new Set([...Object.keys(old), ...Object.keys(now)])].flatMap((column) => {
      const [was, is] = [own(old, column), own(now, column)];
      const pointer = jsonPointer(["pii", stream, column]);
      return was === is ? [] : [{ pointer, what: tagChange(was, is), effect: "same" as const }];
    });
  });
}

/** What becomes of the field's values in records that come from then on. */
function tagChange(before: PiiTag | undefined, after: PiiTag | undefined): string {
  const from = before === undefined ? "" : `it was tagged as ${before}; `;
  if (after === undefined) return `${from}values are kept as they are now`;
  if (after === "none") return `${from}it is said to be nothing personal now`;
  if (after === "pan" || after === "cvv") return `${from}values are masked as ${after} now`;
  return `${from}tokens stand for values now, as ${after}`;
}

function boundEffect(keyword: keyof JSONSchema, before: unknown, after: unknown): Effect {
  if (keyword === "uniqueItems") return after === true ? "fewer" : "more";
  if (typeof before !== "number" || typeof after !== "number") return "other";
  if (lowerBounds.has(keyword)) return after > before ? "fewer" : "more";
  if (upperBounds.has(keyword)) return after < before ? "fewer" : "more";
  return "other";
}

const effectOf = (acceptsAll: boolean, acceptedAll: boolean): Effect =>
  acceptsAll ? (acceptedAll ? "same" : "more") : acceptedAll ? "fewer" : "other";

const isAnything = (schema: Subschema): boolean =>
  schema === true ||
  (schema !== false &&
    Object.keys(schema).every((name) => schemaKeywords[name as keyof JSONSchema] === "annotation"));

const own = <T>(map: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(map, name) ? map[name] : undefined;

const allTypes: readonly SchemaType[] = ["string", "number", "boolean", "object", "array", "null"];

const typesOf = (type: JSONSchema["type"]): readonly SchemaType[] =>
  type === undefined ? allTypes : typeof type === "string" ? [type] : type;

const covers = (types: readonly SchemaType[], others: readonly SchemaType[]): boolean =>
  others.every((type) => types.includes(type) || (type === "integer" && types.includes("number")));

const valuesOf = ({ enum: values, const: value }: JSONSchema): Set<string> | undefined => {
  if (values === undefined && value === undefined) return undefined;
  const listed = new Set((values ?? [value ?? null]).map((one) => canonicalJson(one)));
  return value === undefined || values === undefined
    ? listed
    : new Set([canonicalJson(value)].filter((one) => listed.has(one)));
};
