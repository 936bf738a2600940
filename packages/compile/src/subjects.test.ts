import { Type, changeContract, contract, notPii, pii, timestamp } from "@weir/contract";
import type { RowTags } from "@weir/contract";
import { describe, expect, test } from "vitest";
import { compileProject } from "./compile.ts";
import { identity } from "./identity-builder.ts";
import type { Program } from "./program.ts";

const Paid = contract("paid", {
  version: "1.0.0",
  owner: "test",
  id: "id",
  time: "at",
  fields: Type.Object({ id: Type.String(), at: timestamp(), phone: pii.phone() }),
});

type Field = Parameters<typeof Type.Optional>[0];
interface More {
  readonly key?: string;
  readonly detect?: boolean;
  readonly listed?: boolean;
}

/** A project with a tagged contract, and one that names persons by addresses in a field. */
function compiled(mail: Field, more: More = {}): Program {
  const Seen = contract("seen", {
    version: "1.0.0",
    owner: "test",
    id: "id",
    time: "at",
    ...(more.key === undefined ? {} : { key: more.key as "visitor" }),
    fields: Type.Object({ id: Type.String(), at: timestamp(), visitor: Type.String(), mail }),
  });
  const privacy = {
    ...(more.detect === undefined ? {} : { detect: more.detect }),
    ...(more.listed === true ? { subjects: [[Seen, { email: "mail" }]] as const } : {}),
  };
  const people = identity({ ids: [[Seen, { visitor: "visitor", email: "mail" }]] });
  return compileProject({
    name: "p",
    sources: { web: { contracts: [Paid, Seen] } },
    tables: more.listed === true ? {} : { people },
    privacy,
  });
}

describe("a field that names persons by their addresses", () => {
  const refused = /contract seen: "mail" names persons by their e-mail addresses, which would be masked/;

  test.each<[More]>([[{}], [{ listed: true }]])("is not left to be masked as free text: %o", (more) => {
    expect(() => compiled(Type.String(), more)).toThrow(refused);
    expect(() => compiled(Type.Optional(Type.String()), more)).toThrow(refused);
  });

  test.each<[string, Field, More]>([
    ["tagged", pii.email(), {}],
    ["said to be nothing personal", notPii(Type.String()), {}],
    ["with a format, which is not searched", Type.String({ format: "email" }), {}],
    ["the contract's key, which is not searched", Type.String(), { key: "mail" }],
    ["where nothing is searched", Type.String(), { detect: false }],
  ])("may be %s", (_, mail, more) => {
    expect(compiled(mail, more).subjects).toHaveLength(3);
  });
});

describe("a captured column that names persons by their addresses", () => {
  const captured = (tags: RowTags): Program => {
    const db = changeContract("db", tags);
    const subjects = [["db.public.people", { email: "mail", id: "id" }]] as const;
    return compileProject({
      name: "p",
      sources: { web: { contracts: [Paid] }, db: { contracts: [db] } },
      tables: {},
      privacy: { subjects },
    });
  };

  test("is not left to be masked as free text", () => {
    const refused = /privacy\.subjects, db\.public\.people: "mail" names persons by their e-mail addresses/;
    expect(() => captured({})).toThrow(refused);
    expect(() => captured({ "public.other": { mail: "email" } })).toThrow(refused);
  });

  test.each(["email", "none"] as const)("may be said to be: %s", (tag) => {
    expect(captured({ "public.people": { mail: tag } }).subjects.length).toBeGreaterThan(2);
  });
});
