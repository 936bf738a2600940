import { postgresMissing } from "@weir/testkit";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { Capturing } from "./capturing.fixture.ts";
import { closeServers } from "./database.fixture.ts";

afterAll(closeServers);

let capturing: Capturing | undefined;
afterEach(async () => {
  await capturing?.close();
  capturing = undefined;
});

/** Types, with literals and the texts that have to arrive. */
const types: readonly (readonly [type: string, literal: string, text: string])[] = [
  ["smallint", "-32768", "-32768"],
  ["bigint", "9223372036854775807", "9223372036854775807"],
  ["numeric", "'NaN'", "NaN"],
  ["numeric", "123456789012345678901234567890.000100", "123456789012345678901234567890.000100"],
  ["numeric(30,10)", "-0.0000000001", "-0.0000000001"],
  ["real", "0.1", "0.1"],
  ["double precision", "0.1", "0.1"],
  ["double precision", "'-Infinity'", "-Infinity"],
  ["double precision", "'-0'", "-0"],
  ["double precision", "1.7976931348623157e308", "1.7976931348623157e+308"],
  ["money", "'-12.34'", "-$12.34"],
  ["boolean", "true", "t"],
  ["date", "'infinity'", "infinity"],
  ["date", "'0044-03-15 BC'", "0044-03-15 BC"],
  ["date", "'5874897-12-31'", "5874897-12-31"],
  ["time", "'24:00'", "24:00:00"],
  ["time(3)", "'23:59:59.9994'", "23:59:59.999"],
  ["timetz", "'04:05:06.789+05:30'", "04:05:06.789+05:30"],
  ["timestamp", "'2026-11-21 01:02:03.000001'", "2026-11-21 01:02:03.000001"],
  ["timestamp", "'-infinity'", "-infinity"],
  ["timestamptz", "'2026-11-21 01:02:03.123456-08'", "2026-11-21 09:02:03.123456+00"],
  ["timestamptz", "'4713-01-01 00:00:00+00 BC'", "4713-01-01 00:00:00+00 BC"],
  ["timestamptz", "'294276-12-31 23:59:59.999999+00'", "294276-12-31 23:59:59.999999+00"],
  ["interval", "'-1 year -2 mons +3 days -04:05:06.000007'", "-1 years -2 mons +3 days -04:05:06.000007"],
  ["interval year to month", "'1-2'", "1 year 2 mons"],
  [
    "text",
    "E'tab\\tline\\nreturn\\rback\\\\slash \"quote\" \\u0001 \\u2028 ü 🎈'",
    'tab\tline\nreturn\rback\\slash "quote" \u0001 \u2028 ü 🎈',
  ],
  ["text", "'\\N'", "\\N"],
  ["text", "''", ""],
  ["char(5)", "'a'", "a    "],
  ["varchar(3)", "'abc'", "abc"],
  ['"char"', "'x'", "x"],
  ["name", "'a name'", "a name"],
  ["bytea", "'\\x00ff5c'", "\\x00ff5c"],
  ["bit(3)", "B'101'", "101"],
  ["bit varying", "B''", ""],
  ["uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
  ["json", '\'{"b" : 1.00,  "a": null}\'', '{"b" : 1.00,  "a": null}'],
  ["json", "'null'", "null"],
  ["jsonb", "'null'", "null"],
  ["jsonb", '\'{"b": 1.00, "a": 12345678901234567890}\'', '{"a": 12345678901234567890, "b": 1.00}'],
  ["xml", "'<a b=\"c\">d</a>'", '<a b="c">d</a>'],
  ["inet", "'192.168.0.1/24'", "192.168.0.1/24"],
  ["cidr", "'2001:db8::/32'", "2001:db8::/32"],
  ["macaddr", "'08:00:2b:01:02:03'", "08:00:2b:01:02:03"],
  ["point", "'(1.5,-2)'", "(1.5,-2)"],
  ["polygon", "'((0,0),(1,1),(1,0))'", "((0,0),(1,1),(1,0))"],
  ["tsvector", "'a:1 b'", "'a':1 'b'"],
  ["int[]", "'{{1,2},{3,NULL}}'", "{{1,2},{3,NULL}}"],
  ["int[]", "'[2:3]={1,2}'", "[2:3]={1,2}"],
  ["text[]", "ARRAY['a \"b\"', 'c,d', '', NULL, 'NULL']", '{"a \\"b\\"","c,d","",NULL,"NULL"}'],
  ["int4range", "'[1,5)'", "[1,5)"],
  ["tstzrange", "'[2026-01-01 00:00+00,)'", '["2026-01-01 00:00:00+00",)'],
  ["mood", "'ok'", "ok"],
  ["mood[]", "'{ok,sad}'", "{ok,sad}"],
  ["positive", "7", "7"],
  ["pair", "ROW(1, 'a \"b\"')", '(1,"a ""b""")'],
  ["pg_lsn", "'16/B374D848'", "16/B374D848"],
];

const setup = `
  CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN positive AS int CHECK (value > 0); CREATE TYPE pair AS (a int, b text);
  CREATE TABLE typed (id int PRIMARY KEY, ${types.map(([type], i) => `c${i} ${type}, n${i} ${type}`).join(", ")})`;

const insert = (id: number): string =>
  `INSERT INTO typed (id, ${types.map((_, i) => `c${i}`).join(", ")}) VALUES (${id}, ${types.map(([type, literal]) => `(${literal})::${type}`).join(", ")})`;

describe.each([18, 10] as const)("PostgreSQL %i", (major) => {
  const missing = postgresMissing(major);

  test.skipIf(missing !== undefined)(
    "types: values come as the server writes them, read and streamed alike, NULL as null",
    async () => {
      capturing = await Capturing.on(major, `${setup}; ${insert(1)}`);
      // What a role or a database sets for its sessions must not show.
      await capturing.database.run(`
      ALTER DATABASE ${capturing.database.name} SET datestyle = 'German'; ALTER DATABASE ${capturing.database.name} SET timezone = 'Asia/Tokyo';
      ALTER DATABASE ${capturing.database.name} SET intervalstyle = 'iso_8601'; ALTER DATABASE ${capturing.database.name} SET bytea_output = 'escape';
      ALTER DATABASE ${capturing.database.name} SET extra_float_digits = -5`);
      capturing.start();
      await capturing.upToDate({ "public.typed": ["id"] });
      await capturing.database.run(`${insert(2)}; UPDATE typed SET id = 3 WHERE id = 2`);
      await capturing.upToDate({ "public.typed": ["id"] });
      const rows = capturing.changes("public.typed").filter(({ op }) => op === "snapshot" || op === "insert");
      expect(rows.map(({ op }) => op)).toEqual(["snapshot", "insert", "insert"]);
      for (const { row } of rows) {
        for (const [i, [type, , text]] of types.entries()) {
          // Version 10 writes the shortest text of a double that has 17 digits, others the shortest at all.
          if (major === 10 && /real|double/.test(type)) {
            expect(Number(row?.[`c${i}`]), type).toBeCloseTo(Number(text), 5);
          } else expect(row?.[`c${i}`], type).toBe(text);
          expect(row?.[`n${i}`]).toBeNull();
        }
      }
    },
  );

  test.skipIf(missing !== undefined)(
    "types: an enum that grows, and schema records say what columns are",
    async () => {
      capturing = await Capturing.on(
        major,
        "CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE t (id int PRIMARY KEY, m mood, n numeric(10,2), v varchar(20)[], ts timestamptz(3))",
      );
      capturing.start();
      await capturing.until(() =>
        expect(capturing?.changes("public.t").map(({ op }) => op)).toEqual(["schema"]),
      );
      await capturing.database.run("ALTER TYPE mood ADD VALUE 'delighted'");
      await capturing.database.run("INSERT INTO t VALUES (1, 'delighted', 1, '{a}', now())");
      await capturing.upToDate({ "public.t": ["id"] });
      expect(capturing.changes("public.t").map(({ op }) => op)).toEqual(["schema", "insert"]);
      expect(capturing.changes("public.t")[0]?.row).toEqual({
        columns: [
          { name: "id", type: "integer", key: true },
          { name: "m", type: "mood", key: false },
          { name: "n", type: "numeric(10,2)", key: false },
          { name: "v", type: "character varying(20)[]", key: false },
          { name: "ts", type: "timestamp(3) with time zone", key: false },
        ],
      });
    },
  );
});
