import { quoted, table } from "./case.ts";
import type { CaseTable } from "./case.ts";

const integers = [
  "0",
  "-0",
  "1",
  "-1",
  "1.0",
  "1e2",
  "1E+2",
  "100e-2",
  "9007199254740991",
  "-9007199254740991",
];
const fractions = ["1.5", "-0.1", "1e-1", "5e-324", "1.7976931348623157e308"];
const beyondDoubles = ["1e400", "-1E400", "1e99999", "1.7976931348623159e308"];
const strings = quoted(["", "a", "1", "true", "null", "{}", "\u0000", "😀", "2026-01-01"]);
const booleans = ["true", "false"];
const lists = ["[]", "[1]", "[null]", "[[]]"];
const objects = ["{}", '{"a":1}', '{"":null}', '{"__proto__":1}'];
const nothing = ["null"];

/** The keyword `type`, and schemas that judge nothing. */
export const typeTables: readonly CaseTable[] = [
  table("type string", { type: "string" }, strings, [
    ...integers,
    ...booleans,
    ...lists,
    ...objects,
    ...nothing,
  ]),
  table("type integer", { type: "integer" }, integers, [
    ...fractions,
    ...beyondDoubles,
    ...strings,
    ...booleans,
    ...lists,
    ...objects,
    ...nothing,
    "9007199254740992",
    "-9007199254740992",
    "9007199254740993",
    "1e16",
    "1e300",
    "9223372036854775807",
    "123456789012345678901234567890",
    "0.1",
  ]),
  table(
    "type integer with fractions that a double does not hold",
    { type: "integer" },
    // The double nearest to each of these is an integer, and JSON numbers are doubles here.
    [
      "1.00000000000000000001",
      "9007199254740990.5",
      "9007199254740990.9999999",
      "0.99999999999999999999",
      "1e-400",
      "-1e-400",
    ],
    ["1.0000000000000003", "1e-300"],
  ),
  table(
    "type number",
    { type: "number" },
    [...integers, ...fractions, "1e300", "1e-400", "123456789012345678901234567890"],
    [...beyondDoubles, ...strings, ...booleans, ...lists, ...objects, ...nothing],
  ),
  table("type boolean", { type: "boolean" }, booleans, [
    "0",
    "1",
    '"true"',
    '"false"',
    '""',
    ...lists,
    ...objects,
    ...nothing,
  ]),
  table("type null", { type: "null" }, nothing, ["0", "false", '""', '"null"', ...lists, ...objects]),
  table("type array", { type: "array" }, lists, [...objects, ...nothing, '"[]"', "0", "false"]),
  table("type object", { type: "object" }, objects, [...lists, ...nothing, '"{}"', "0", "false"]),
  table(
    "type string or null",
    { type: ["string", "null"] },
    [...strings, ...nothing],
    ["0", "false", "[]", "{}"],
  ),
  table(
    "type null or integer",
    { type: ["null", "integer"] },
    [...integers, ...nothing],
    [...fractions, ...beyondDoubles, '"1"', "1e300"],
  ),
  table(
    "type number or string",
    { type: ["number", "string"] },
    [...integers, ...fractions, ...strings],
    [...beyondDoubles, ...nothing, "true", "[]"],
  ),
  table(
    "type boolean or object",
    { type: ["boolean", "object"] },
    [...booleans, ...objects],
    [...lists, ...nothing, "0", '"a"'],
  ),
  table(
    "every type",
    { type: ["string", "number", "boolean", "object", "array", "null"] },
    [...strings, ...integers, ...fractions, ...booleans, ...lists, ...objects, ...nothing],
    beyondDoubles,
  ),
  table(
    "no keyword",
    {},
    [...strings, ...integers, ...beyondDoubles, ...booleans, ...lists, ...objects, ...nothing],
    [],
  ),
  table("true", true, ["null", "1", "{}"], []),
  table("false", false, [], ["null", "1", "{}", '""']),
  table(
    "notes judge nothing",
    {
      title: "t",
      description: "d",
      default: 1,
      examples: ["x"],
      deprecated: true,
      readOnly: true,
      writeOnly: true,
      $comment: "c",
      contentEncoding: "base64",
      contentMediaType: "application/json",
    },
    ["null", "1", '"not base64 \u00e9"'],
    [],
  ),
];

/** The keywords `enum` and `const`: equality of JSON values. */
export const valueTables: readonly CaseTable[] = [
  table(
    "enum of strings",
    { enum: ["a", "B", "", "é", "😀", "'", "null"] },
    [
      '"a"',
      '"B"',
      '""',
      '"é"',
      String.raw`"\u00e9"`,
      String.raw`"\ud83d\ude00"`,
      '"\'"',
      '"null"',
      String.raw`"\u0061"`,
    ],
    ['"A"', '"b"', '" "', '"a "', '"e\u0301"', "null", "0", "[]", '["a"]'],
  ),
  table(
    "enum of numbers",
    { enum: [0, 1, 2.5, -3, 1e21] },
    ["0", "-0", "0.0", "0e9", "1", "1.0", "10e-1", "2.5", "25e-1", "-3", "1e21", "1000000000000000000000"],
    ['"1"', "true", "false", "null", "2", "2.50000000001", "3", "[1]"],
  ),
  table(
    "enum of booleans and null",
    { enum: [true, null] },
    ["true", "null"],
    ["false", "1", "0", '"true"', '"null"', '""'],
  ),
  table(
    "enum of values of every type",
    { enum: ["1", 1.5, false, null, [1, "a"], { a: [1], b: null }] },
    ['"1"', "1.5", "false", "null", '[1,"a"]', '[1.0,"a"]', '{"a":[1],"b":null}', '{"b":null,"a":[1e0]}'],
    [
      "1",
      "true",
      "0",
      '["a",1]',
      "[1]",
      '{"a":[1]}',
      '{"a":[1],"b":null,"c":1}',
      '{"a":1,"b":null}',
      "[]",
      "{}",
    ],
  ),
  table("enum with a type", { type: "string", enum: ["a", "b"] }, ['"a"', '"b"'], ['"c"', "null", "1"]),
  table(
    "enum with a type it does not all fit",
    { type: "string", enum: ["a", 1, null] },
    ['"a"'],
    ["1", "null", '"1"'],
  ),
  table(
    "enum with null in a nullable type",
    { type: ["string", "null"], enum: ["a", null] },
    ['"a"', "null"],
    ['"b"', '"null"'],
  ),
  table(
    "enum without null in a nullable type",
    { type: ["string", "null"], enum: ["a"] },
    ['"a"'],
    ["null", '"b"'],
  ),
  table("const string", { const: "x" }, ['"x"', String.raw`"\u0078"`], ['"X"', '"x "', '["x"]', "null"]),
  table("const empty string", { const: "" }, ['""'], ["null", "0", "false", '" "', "[]"]),
  table(
    "const zero",
    { const: 0 },
    ["0", "-0", "0.0", "-0.0", "0e5", "1e-400"],
    ["false", "null", '""', '"0"', "1e-300"],
  ),
  table(
    "const number",
    { const: 0.1 },
    ["0.1", "1e-1", "0.10", "0.1000000000000000055511151231257827"],
    ["0.1000000000000001", '"0.1"', "0.2"],
  ),
  table(
    "const integer beyond 2^53 with type number",
    { type: "number", const: 9007199254740992 },
    ["9007199254740992", "9007199254740993", "9007199254740992.0"],
    ["9007199254740994", "9007199254740991"],
  ),
  table("const null", { const: null }, ["null"], ["0", "false", '""', '"null"', "[]", "{}"]),
  table("const false", { const: false }, ["false"], ["0", "null", '""', "true", "[]"]),
  table(
    "const object",
    { const: { a: 1, b: { c: [true] } } },
    ['{"a":1,"b":{"c":[true]}}', '{"b":{"c":[true]},"a":1.0}'],
    [
      "{}",
      '{"a":1}',
      '{"a":1,"b":{"c":[true]},"d":0}',
      '{"a":"1","b":{"c":[true]}}',
      '{"a":1,"b":{"c":[1]}}',
    ],
  ),
  table(
    "const list",
    { const: [1, [2]] },
    ["[1,[2]]", "[1.0,[2e0]]"],
    ["[]", "[1]", "[[2],1]", "[1,2]", '{"0":1,"1":[2]}'],
  ),
  table(
    "const that names inherited members",
    { const: {} },
    ["{}"],
    ['{"constructor":1}', '{"toString":1}', '{"valueOf":{}}', '{"__proto__":1}', "[]", "null"],
  ),
];
