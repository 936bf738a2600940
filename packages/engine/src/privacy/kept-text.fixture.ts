/** For tests: records whose tagged values stand in all places and forms. */
import { compileProject } from "@weir/compile";
import { Type, contract, nullable, pci, pii, subject, timestamp } from "@weir/contract";
import * as fc from "fast-check";
import { expect } from "vitest";
import { Harness } from "../harness.fixture.ts";

/** Fields of both contracts but for the objects of one: with these no record of it is plain. */
const fields = {
  id: Type.String(),
  at: timestamp(),
  user: Type.Optional(nullable(subject(Type.Integer()))),
  email: Type.Optional(nullable(pii.email())),
  phone: Type.Optional(pii.phone()),
  name: Type.Optional(pii.name()),
  card: Type.Optional(pci.pan()),
  note: Type.Optional(Type.String()),
  tags: Type.Optional(Type.Array(Type.String())),
};
const head = { version: "1.0.0", owner: "shop", id: "id", time: "at" } as const;
const flat = contract("flat", { ...head, fields: Type.Object(fields) });
const deep = contract("deep", {
  ...head,
  fields: Type.Object({ ...fields, place: Type.Optional(Type.Object({ phone: Type.String() })) }),
});
export const keptProject = compileProject({
  name: "kept",
  sources: { web: { contracts: [flat, deep] } },
  tables: {},
  privacy: { detect: false },
});

/** Few values, so that fields share them, one begins another, and some need escapes. */
const value = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom("ann@example.com", "+31 20 555", "421421") },
  { weight: 2, arbitrary: fc.constantFrom("Zoë Müller-Ödön", "Ann", "4", "42", "421", "") },
  { weight: 1, arbitrary: fc.constant('Q"uote\\d') },
);
const tagged = ["email", "phone", "name"] as const;
/** A member as text: the name, and the value in one of the ways to write it. */
const written = (name: string, plain: string, escape: boolean): string =>
  `${JSON.stringify(name)}:${escape ? JSON.stringify(plain).replaceAll(/[A-Za-z@]/gu, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`) : JSON.stringify(plain)}`;
const member = (name: string): fc.Arbitrary<string> =>
  fc
    .tuple(
      value,
      fc.nat({ max: 19 }).map((n) => n === 0),
    )
    .map(([plain, escape]) => written(name, plain, escape));
const optional = (arbitrary: fc.Arbitrary<string>): fc.Arbitrary<string[]> =>
  fc.option(arbitrary, { freq: 4 }).map((one) => (one === null ? [] : [one]));
const declared = fc.tuple(
  ...tagged.map((name) => optional(member(name))),
  optional(
    fc
      .constantFrom("null", "4", "42", "421", "42.0", "4.2e1", "-0", "421421", "421421")
      .map((number) => `"user":${number}`),
  ),
  optional(fc.constant('"card":"4111111111111111"')),
  optional(member("note")),
  optional(value.map((one) => `"tags":${JSON.stringify([one])}`)),
);
const others = fc.tuple(
  optional(member("unknown")),
  optional(fc.constantFrom("421", "421421").map((number) => `"user_id":${number}`)),
  optional(value.map((one) => `"more":{"email":${JSON.stringify(one)}}`)),
  optional(value.map((one) => `"place":{"phone":${JSON.stringify(one)}}`)),
);
/** Half of them have nothing that nobody declared. */
const members = fc
  .tuple(declared, fc.option(others, { freq: 2 }))
  .map(([known, more]) => [...known, ...(more ?? [])].flat());
/** Most are in the order that the batch's first has them in. */
const batch = fc.array(
  fc.tuple(
    members,
    fc.boolean().chain((turned) => (turned ? fc.nat({ max: 9 }) : fc.constant(0))),
  ),
  { minLength: 1, maxLength: 30 },
);

type Parsed = Readonly<Record<string, unknown>>;

/** Strings and numbers in members that nobody declared. */
function undeclared(record: Parsed, name: string): unknown[] {
  const strings = (one: unknown): unknown[] =>
    typeof one === "string" || typeof one === "number"
      ? [one]
      : typeof one === "object" && one !== null
        ? Object.values(one).flatMap(strings)
        : [];
  const known = new Set([...Object.keys(fields), ...(name === "deep" ? ["place"] : [])]);
  return Object.entries(record).flatMap(([key, one]) => (known.has(key) ? [] : strings(one)));
}

/** Of card numbers the digits are gone, and of -0 the sign. */
const comparable = (record: Parsed): Parsed => ({
  ...record,
  card: "",
  ...(typeof record["user"] === "number" ? { user: record["user"] + 0 } : {}),
});

/** What is kept of a text has no value and every token, and the text is restored to the byte. */
export async function checkKeptTexts(runs: number): Promise<void> {
  const harness = new Harness({ internals: { upkeepEveryMs: 3_600_000, recentIds: 40 } });
  await harness.open(keptProject);
  let n = 0;
  await fc.assert(
    fc.asyncProperty(batch, fc.constantFrom("flat", "deep"), async (records, sent) => {
      const texts = records.map(([parts, turn]) => {
        const all = [`"id":"${++n}"`, '"at":"2026-01-01T00:00:00Z"', ...parts];
        return `{${[...all.slice(turn), ...all.slice(0, turn)].join(",")}}`;
      });
      await harness.load(texts.map((text) => ({ source: "web", sent, text })));
      const kept = await harness.rows(
        `SELECT r.text, s."user", s.email, s.phone, s.name, s.card FROM raw r JOIN ${sent} s ON r.number = s._number AND r.line = s._line
         WHERE s.id::INTEGER > ${n - texts.length} ORDER BY s.id::INTEGER`,
      );
      expect(kept).toHaveLength(texts.length);
      const vault = harness.engine.vault!;
      const restored = await vault.restoreTexts(kept.map(([text]) => String(text)));
      for (const [i, [text, ...row]] of kept.entries()) {
        const before = JSON.parse(texts[i] ?? "") as Parsed;
        const after = JSON.parse(text as string) as Parsed;
        const names = ["user", "email", "phone", "name", "card"];
        const rows = Object.fromEntries(names.map((name, at) => [name, row[at]]));
        expect(rows["card"]).toBe(after["card"] ?? null);
        const isValue = (one: unknown): boolean => one !== undefined && one !== null && one !== "";
        const held = ["user", ...tagged].filter((name) => isValue(before[name]));
        for (const name of held) {
          expect(rows[name]).toMatch(name === "user" ? /^sub_/ : new RegExp(`^tok_${name}_`));
          expect(after[name]).toMatch(/^(?:sub|tok_[a-z]+)_/);
        }
        // A value that two fields have may have the token of either in the text.
        const found = await vault.reveal(held.flatMap((name) => [after[name], rows[name]] as string[]));
        for (const name of held)
          for (const one of [after, rows]) expect(found.get(one[name] as string)).toBe(String(before[name]));
        // A number has copies that are texts, and a text none that are numbers.
        const isLong = (one: unknown): boolean => String(one).length >= 6;
        const long = new Set(
          [...tagged.map((name) => before[name]), before["user"], String(before["user"])].filter(isLong),
        );
        // Copies are found where they are written as the value is.
        if (!texts[i]?.includes("\\"))
          for (const one of undeclared(after, sent)) expect(long.has(one)).toBe(false);
        // The number's other forms, and escapes of a value that became a token, are not kept.
        const exact = !/\\|42\.0|4\.2e1|:-0/.test(texts[i] ?? "");
        const card = texts[i]?.replaceAll("4111111111111111", "");
        if (exact && card === texts[i]) expect(restored[i]).toBe(texts[i]);
        else expect(comparable(JSON.parse(restored[i] ?? "") as Parsed)).toEqual(comparable(before));
      }
    }),
    { numRuns: runs },
  );
  await harness.end();
}
