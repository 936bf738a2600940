import { compileProject } from "@weir/compile";
import { Type, contract, timestamp } from "@weir/contract";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Harness } from "./harness.fixture.ts";

const seen = contract("seen", {
  version: "1.0.0",
  owner: "tests",
  id: "id",
  time: "at",
  fields: Type.Object({ id: Type.String(), at: timestamp() }),
});

let harness: Harness;
beforeEach(async () => {
  harness = new Harness();
  await harness.open(compileProject({ name: "extra", sources: { web: { contracts: [seen] } }, tables: {} }));
});
afterEach(() => harness.end());

test("unknown members keep every digit of their numbers", async () => {
  const members = [
    '"n":12345678901234567890123',
    '"n":0.12345678901234567890123',
    '"n":-1.5e-7,"m":[1,2.25,18446744073709551615]',
    '"n":1e400,"m":{"a":[9007199254740993.25]}',
    '"n":123456789012345.678',
  ];
  await harness.load(
    members.map((text, i) => ({
      source: "web",
      sent: "seen",
      text: `{"id":"${i}","at":"2026-01-01T00:00:00Z",${text}}`,
    })),
  );
  expect(await harness.rows("SELECT _extra::VARCHAR FROM seen ORDER BY id")).toEqual(
    members.map((text) => [`{${text}}`]),
  );
});
