import * as fc from "fast-check";
import { expect, test } from "vitest";
import { DuckDBInstance } from "@duckdb/node-api";
import { isFound, mayHold, maskText } from "./detect.ts";
import { passesLuhn } from "./marks.ts";

test.each([
  ["write to ann.lee+shop@mail.example.co.uk, please", "write to [email], please"],
  ["<jürgen@münchen.example>", "<[email]>"],
  ["a@b.co,c@d.org", "[email],[email]"],
  ["card 4111 1111 1111 1111 exp 12/27", "card 411111******1111 exp 12/27"],
  ["4111-1111-1111-1111", "411111******1111"],
  ["2 x 378282246310005.", "2 x 378282*****0005."],
  ["2 4111111111111111 3", "2 411111******1111 3"],
  ["5555555555554444 and 6011111111111117", "555555******4444 and 601111******1117"],
])("%j becomes %j", (text, masked) => {
  expect(maskText(text)).toBe(masked);
});

test.each([
  "@ann",
  "user@localhost",
  "name@",
  "4111111111111112",
  "order 1234567890123456",
  "SKU4111111111111111",
  "4111111111111111.25",
  "550e8400-e29b-41d4-a716-446655440000",
  "1790000000000000",
  "1790000000000000000",
  "2026-11-21 10:00:00",
  "v4_4111111111111111",
  "41111111111111111111111111",
])("%j is left as it is", (text) => {
  expect(maskText(text)).toBe(text);
});

test("whatever stands around it, a card number does not stay", () => {
  const digits = fc
    .tuple(fc.constantFrom("4", "51", "37", "6011"), fc.stringMatching(/^[0-9]{15}$/))
    .map(([prefix, rest]) => {
      const body = `${prefix}${rest}`.slice(0, prefix === "37" ? 14 : 15);
      return [...Array(10).keys()].map((check) => `${body}${check}`).find(passesLuhn)!;
    });
  const grouped = fc
    .tuple(digits, fc.constantFrom("", " ", "-"))
    .map(([card, sign]) => (sign === "" ? card : card.replaceAll(/(\d{4})(?=\d)/g, `$1${sign}`)));
  fc.assert(
    fc.property(
      grouped,
      fc.constantFrom("", "x ", "7 ", "(", "no: "),
      fc.constantFrom("", " y", ".", ")", " 12"),
      (card, before, after) => {
        expect(maskText(`${before}${card}${after}`)).not.toContain(card);
      },
    ),
  );
});

test("whatever is found SQL lets through", async () => {
  const instance = await DuckDBInstance.create(":memory:");
  const sql = await instance.connect();
  const passes = async (text: string): Promise<unknown> => {
    const query = `SELECT ${mayHold(`'${text.replaceAll("'", "''")}'`)} AS passes`;
    return (await sql.runAndReadAll(query)).getRows()[0]?.[0];
  };
  const piece = fc.oneof(
    fc.constantFrom("4111 1111 1111 1111", "378282246310005", "5555-5555-5555-4444", "6011111111111117"),
    fc.constantFrom(" ", "-", ".", ",", "_", "é", "x", "7", "\n", "\\n", '"', "@", "a@b.co", "\u0001"),
    fc.string({ maxLength: 3 }).filter((text) => !text.includes("\0")),
  );
  let found = 0;
  const text = fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join(""));
  await fc.assert(
    fc.asyncProperty(text, async (plain) => {
      for (const one of [plain, JSON.stringify(plain)]) {
        // What no JSON can be has no escapes.
        if (one === plain ? maskText(plain) === plain : !isFound(one)) continue;
        found++;
        expect(await passes(one)).toBe(true);
      }
      // What stands in a string of a JSON text is found there too.
      if (maskText(plain) !== plain) expect(isFound(JSON.stringify(plain))).toBe(true);
    }),
    { numRuns: 500 },
  );
  expect(found).toBeGreaterThan(100);
  sql.closeSync();
  instance.closeSync();
});

test("long texts take time in proportion", () => {
  for (const text of [
    "a".repeat(300_000),
    "1".repeat(300_000),
    "1 ".repeat(150_000),
    "a@".repeat(150_000),
    `${"a".repeat(200_000)}@`,
  ])
    expect(maskText(text)).toBe(text);
});
