import { expect, test } from "vitest";
import { contract } from "./contract.ts";
import { Type, nullable, timestamp } from "./fields.ts";
import { notPii, pci, pii, subject, taggedFields } from "./privacy.ts";
import { validator } from "./validate.ts";

const made = (fields: Record<string, object>, id = "id"): ReturnType<typeof contract> =>
  contract("signup", {
    version: "1.0.0",
    owner: "growth",
    id,
    time: "at",
    fields: Type.Object({ id: Type.String(), at: timestamp(), ...fields } as never),
  });

const base = { id: "1", at: "2026-01-01T00:00:00Z" };

test("tags are found where they are: optional, nullable, nested, with constraints; they judge nothing", () => {
  const signup = made({
    email: Type.Optional(pii.email({ format: "email" })),
    phone: nullable(pii.phone()),
    user: subject(Type.Optional(Type.Integer())),
    shipping: Type.Object({ address: Type.Object({ line: pii.address({ maxLength: 9 }) }) }),
    card: pci.pan(),
    note: notPii(Type.String()),
  });
  expect(taggedFields(signup.schema)).toEqual([
    { path: ["email"], tag: "email", isInteger: false },
    { path: ["phone"], tag: "phone", isInteger: false },
    { path: ["user"], tag: "subject", isInteger: true },
    { path: ["shipping", "address", "line"], tag: "address", isInteger: false },
    { path: ["card"], tag: "pan", isInteger: false },
  ]);
  const judge = validator(signup);
  const rest = { phone: null, shipping: { address: { line: "short" } }, card: "any", note: "" };
  expect(judge({ ...base, ...rest })).toEqual([]);
  expect(
    judge({ ...base, ...rest, email: "none", shipping: { address: { line: "0123456789" } } }),
  ).toMatchObject([
    { pointer: "/email", keyword: "format" },
    { pointer: "/shipping/address/line", keyword: "maxLength" },
  ]);
});

test("subject may be the id, and on it alone", () => {
  expect(taggedFields(made({ who: subject() }, "who").schema)).toHaveLength(1);
});

test.each([
  ["a list", { list: Type.Array(pii.email()) }, /fields\/properties\/list\/items: Only fields of the record/],
  ["a map", { map: Type.Record(Type.String(), pii.email()) }, /Only fields of the record/],
  ["a choice", { one: Type.Union([pii.email(), Type.Integer()]) }, /Only fields of the record/],
  ["a number", { n: Type.Unsafe({ type: "number", pii: "email" }) }, /tagged as email must be a string/],
  [
    "an integer that is no subject",
    { n: Type.Unsafe({ type: "integer", pii: "ip" }) },
    /tagged as ip must be a string/,
  ],
  ["a time", { t: Type.Unsafe({ type: "string", format: "date", pii: "text" }) }, /no date or time/],
  [
    "an unknown tag",
    { t: Type.Unsafe({ type: "string", pii: "mail" }) },
    /"mail" is no tag; those are email/,
  ],
  [
    "two subjects",
    { a: subject(), b: subject(Type.Integer()) },
    /about one subject, and a, b are all tagged/,
  ],
  ["the id", { id: pii.email() }, /id can be tagged as subject only/],
  [
    "the time",
    { at: Type.Unsafe({ type: "string", format: "date-time", pii: "text" }) },
    /time cannot be tagged/,
  ],
])("a tag on %s is refused", (_, fields, message) => {
  expect(() => made(fields)).toThrow(message);
});
