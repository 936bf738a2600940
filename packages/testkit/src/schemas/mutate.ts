/** One small wrong (or harmless) step away from a document. */
import * as fc from "fast-check";
import { array, object, spellings, string, token } from "./document.ts";
import type { Document } from "./document.ts";
import { dateTexts, dateTimeTexts, numberTokens, oddStrings } from "./edges.ts";
import { memberName } from "./names.ts";
import { wildDocument } from "./valid-document.ts";

type Documents = fc.Arbitrary<Document>;

/** The document with one of its values, at any depth, changed by one mutation. */
export function mutated(document: Document): Documents {
  return fc.nat(size(document) - 1).chain((index) => changeAt(document, index));
}

/** Number of values in a document, itself included. */
function size(document: Document): number {
  if (document.kind === "array") return document.items.reduce((sum, item) => sum + size(item), 1);
  if (document.kind === "object") return document.members.reduce((sum, [, value]) => sum + size(value), 1);
  return 1;
}

function changeAt(document: Document, index: number): Documents {
  if (index === 0) return changed(document);
  let left = index - 1;
  if (document.kind === "array") {
    for (const [at, item] of document.items.entries()) {
      if (left < size(item)) return changeAt(item, left).map((next) => array(document.items.with(at, next)));
      left -= size(item);
    }
  }
  if (document.kind === "object") {
    for (const [at, [name, value]] of document.members.entries()) {
      if (left < size(value))
        return changeAt(value, left).map((next) => object(document.members.with(at, [name, next])));
      left -= size(value);
    }
  }
  return changed(document);
}

function changed(document: Document): Documents {
  const anything = fc.oneof(
    fc.constantFrom("null", "true", "0", '""', "[]", "{}").map(token),
    wildDocument(1),
  );
  switch (document.kind) {
    case "string":
      return fc.oneof(
        { weight: 1, arbitrary: anything },
        { weight: 4, arbitrary: changedString(document.value) },
      );
    case "token":
      return fc.oneof(
        { weight: 1, arbitrary: anything },
        { weight: 3, arbitrary: changedToken(document.text) },
      );
    case "array":
      return fc.oneof(
        { weight: 1, arbitrary: anything },
        { weight: 4, arbitrary: changedArray(document.items) },
      );
    case "object":
      return fc.oneof({ weight: 1, arbitrary: anything }, { weight: 6, arbitrary: changedObject(document) });
  }
}

function changedString(value: string): Documents {
  const units = Array.from(value);
  const texts = [
    `${value}a`,
    `${value}😀`,
    `${value}\n`,
    ` ${value}`,
    `${value} `,
    `${value}\u0000`,
    units.slice(0, -1).join(""),
    units.slice(1).join(""),
    value.toUpperCase(),
    value.toLowerCase(),
    value.normalize("NFD"),
  ];
  return fc.oneof(
    fc
      .tuple(fc.constantFrom(...texts), fc.constantFrom(...spellings))
      .map(([text, spelling]) => string(text, spelling)),
    fc.constantFrom(...spellings).map((spelling) => string(value, spelling)),
    fc.constantFrom(...oddStrings, ...dateTexts, ...dateTimeTexts).map((text) => string(text)),
    // A number's digits without the quotes.
    fc.constant(/^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$/.test(value) ? token(value) : string(value)),
  );
}

function changedToken(text: string): Documents {
  const value: unknown = JSON.parse(text);
  if (typeof value !== "number") return fc.constantFrom(string(text), token("0"), token("1"), token("null"));
  const near = Number.isFinite(value)
    ? [value + 1, value - 1, value + 0.5, -value, value * 10, value / 10].filter(Number.isFinite)
    : [];
  const tokens = near.map((number) => JSON.stringify(number));
  const respelled = /^-?[0-9]+$/.test(text) ? [`${text}.0`, `${text}e0`, `${text}.5`] : [];
  return fc.oneof(
    fc.constantFrom(...tokens, ...respelled, "0").map(token),
    fc.constantFrom(...numberTokens).map(token),
    fc.constant(string(text)),
  );
}

function changedArray(items: readonly Document[]): Documents {
  const first = items[0] ?? token("0");
  const choices = [
    items.slice(1),
    items.slice(0, -1),
    [...items, first],
    [first, ...items],
    [...items, token("null")],
    items.toReversed(),
    [],
  ];
  return fc.oneof(
    fc.constantFrom(...choices).map(array),
    wildDocument(1).map((extra) => array([...items, extra])),
  );
}

function changedObject({
  members,
}: {
  readonly members: readonly (readonly [string, Document])[];
}): Documents {
  const extra = fc.tuple(memberName(), wildDocument(1)).map((member) => object([...members, member]));
  if (members.length === 0) return extra;
  return fc.oneof(
    extra,
    fc.nat(members.length - 1).chain((at) => {
      const [name, value] = members[at] ?? ["", token("null")];
      return fc.constantFrom<Document[]>(
        object(members.toSpliced(at, 1)),
        object(members.with(at, [name.toUpperCase(), value])),
        object(members.with(at, [`${name} `, value])),
        object(members.with(at, [name, token("null")])),
        object(members.toReversed()),
      );
    }),
  );
}
