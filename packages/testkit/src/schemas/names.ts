/** Names of fields and of members, easy and odd. */
import * as fc from "fast-check";

const plainNames = [
  "sku",
  "price",
  "qty",
  "email",
  "user_id",
  "createdAt",
  "status",
  "items",
  "note",
  "total",
  "a",
  "b",
  "c",
  "x1",
  "lat",
  "lon",
] as const;

const oddNames = [
  "type",
  "select",
  "order",
  "group",
  "null",
  "true",
  "from",
  "constructor",
  "toString",
  "valueOf",
  "hasOwnProperty",
  "length",
  "0",
  "1",
  "-1",
  "a b",
  "a.b",
  "a/b",
  "m~n",
  "$ref",
  "$a",
  "a-b",
  "a'b",
  'a"b',
  "a\\b",
  "a`b",
  "a;b",
  "a,b",
  "a:b",
  "[0]",
  "*",
  "?",
  "%",
  "@",
  "#",
  "é",
  "e\u0301",
  "ÀÉ",
  "ß",
  "漢字",
  "😀",
  "naïve",
  "İd",
  "\u00a0",
  " x",
  "x ",
  "\u200b",
  "filename",
  "rowid",
  "main",
  "a".repeat(64),
] as const;

/** A field name that a contract may declare. */
export function fieldName(): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...plainNames) },
    { weight: 2, arbitrary: fc.constantFrom(...oddNames) },
  );
}

/** A member name that data may have: any string, also those that no contract may declare. */
export function memberName(): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 3, arbitrary: fieldName() },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        "",
        "__proto__",
        "_x",
        "_extra",
        "SKU",
        "Price",
        "\u0000",
        "a\nb",
        "id ",
        "ID",
      ),
    },
    { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 4 }) },
  );
}
