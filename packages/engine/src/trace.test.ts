import { compileProject, count, enrich, entity, rollup, sessions } from "@weir/compile";
import { Type, contract, pii, timestamp } from "@weir/contract";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Harness } from "./harness.fixture.ts";

const Seen = contract("seen", {
  version: "1.0.0",
  owner: "test",
  id: "event id",
  time: "at",
  aliases: ["Page Seen"],
  fields: Type.Object({ "event id": Type.String(), at: timestamp(), who: Type.String() }),
});
const Paid = contract("paid", {
  version: "1.0.0",
  owner: "test",
  id: "number",
  time: "at",
  fields: Type.Object({ number: Type.Integer(), at: timestamp(), who: Type.String() }),
});

const program = compileProject({
  name: "p",
  sources: { web: { contracts: [Seen] }, shop: { contracts: [Paid, Seen] } },
  tables: {
    visits: sessions({ from: Seen, by: "who", gap: "30m", measures: { n: count() } }),
    payments: entity({ from: Paid, key: "who" }),
    seen_paid: enrich({ from: Seen, to: "payments", on: { who: "who" }, take: "number" }),
    totals: rollup({ from: Paid, by: "who", measures: { n: count() } }),
  },
});

let harness: Harness;
beforeEach(async () => {
  harness = new Harness();
  await harness.open(program);
});
afterEach(() => harness.end());

const at = "2026-01-15T10:00:00Z";
const load = async (source: string, sent: string, record: object | string, us = 0): Promise<void> => {
  const text = typeof record === "string" ? record : JSON.stringify(record);
  await harness.load([{ source, sent, text, receivedUs: 1_790_000_000_000_000 + us }]);
};
const outcomes = async (id: string, name?: string): Promise<unknown> =>
  (await harness.engine.trace(id, name)).map(({ contract: of, receipts, tables }) => [
    of,
    receipts.map(({ sent, outcome, reason, position }) => [position.split("/")[0], sent, outcome, reason]),
    tables.map((table) => table.name),
  ]);

test("every arrival with its outcome, of every contract, and the tables that it reaches", async () => {
  await load("web", "seen", { "event id": "7", at, who: "a" }, 1);
  await load("web", "seen", { "event id": "7", at, who: "a" }, 2);
  await load("shop", "Page Seen@1.0.0", { "event id": "7", at, who: "a" }, 3);
  await load("web", "seen", { "event id": "7", at: "soon", who: "a" }, 4);
  await load("shop", "paid", { number: 7, at, who: "a" }, 5);
  await load("web", "seen", { "event id": "77", at, who: "7" }, 6);
  const seen = [
    "seen",
    [
      ["web", "seen", "loaded", null],
      ["web", "seen", "duplicate", null],
      ["shop", "Page Seen@1.0.0", "duplicate", null],
      ["web", "seen", "quarantined", "contract_violation"],
    ],
    ["visits", "seen_paid"],
  ];
  const paid = ["paid", [["shop", "paid", "loaded", null]], ["payments", "seen_paid", "totals"]];
  expect(await outcomes("7")).toEqual([seen, paid]);
  expect(await outcomes("7", "paid")).toEqual([paid]);
  expect(await outcomes("8")).toEqual([]);
  await expect(harness.engine.trace("7", "nowhere")).rejects.toMatchObject({ code: "not_found" });
});

test("one that an earlier one took the place of", async () => {
  await load("web", "seen", { "event id": "7", at, who: "a" }, 1);
  await load("web", "seen", { "event id": "7", at: "2026-01-14T10:00:00Z", who: "a" }, 2);
  const [traced] = await harness.engine.trace("7");
  expect(traced?.receipts.map(({ outcome }) => outcome).sort()).toEqual(["loaded", "superseded"]);
});

test.each(['a"b', "a\\b", "é—😀", "' OR 1=1 --", "%", "a\tb", "\u0001", ""])(
  "an id of any characters: %j",
  async (id) => {
    await load("web", "seen", { "event id": id, at, who: "a" }, 1);
    // As other libraries write it.
    const escaped = JSON.stringify(id).replaceAll(
      /[^ -~]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
    await load("web", "seen", `{"event id":${escaped},"at":"${at}","who":"a"}`, 2);
    expect(await outcomes(id)).toEqual([
      [
        "seen",
        [
          ["web", "seen", "loaded", null],
          ["web", "seen", "duplicate", null],
        ],
        ["visits", "seen_paid"],
      ],
    ]);
  },
);

test("sealed records, whatever their bytes, are passed over", async () => {
  const Signed = contract("signed", {
    version: "1.0.0",
    owner: "test",
    id: "id",
    time: "at",
    fields: Type.Object({ id: Type.String(), at: timestamp(), email: pii.email() }),
  });
  await harness.open(compileProject({ name: "p", sources: { web: { contracts: [Signed] } }, tables: {} }));
  await load("web", "signed", { id: "d", at, email: "ann@example.com" }, 1);
  await load("web", "signed", { id: "d", at: "soon", email: "ann@example.com" }, 2);
  // One that every sealed text has in it.
  expect(await outcomes("d")).toEqual([["signed", [["web", "signed", "loaded", null]], []]]);
});
