/** Addresses and card numbers where nobody expects them: nothing outside the log has one. */
import { compileProject } from "@weir/compile";
import { Type, contract, pii, timestamp } from "@weir/contract";
import { expect, test } from "vitest";
import { Harness } from "../harness.fixture.ts";
import { scan } from "./byte-scan.fixture.ts";

const common = { version: "1.0.0", owner: "test", id: "id", time: "at" } as const;
const open = contract("open", {
  ...common,
  fields: Type.Object({
    id: Type.String(),
    at: timestamp(),
    email: Type.Optional(pii.email()),
    to: Type.Optional(Type.Object({ city: Type.String() })),
    counts: Type.Optional(Type.Record(Type.String(), Type.Integer())),
  }),
});
const closed = contract("closed", {
  ...common,
  fields: Type.Object({ id: Type.String(), at: timestamp() }, { additionalProperties: false }),
});
const strange = compileProject({ name: "p", sources: { web: { contracts: [open, closed] } }, tables: {} });

const address = "strange.needle@example.com";
const needles = [address, "strange.needle%40example.com", "4556737586899855"];
const named = { [address]: 1, "4556737586899855": 2 };
const at = "2026-01-01T00:00:00Z";
const url = `https://shop.example/?q=${encodeURIComponent(address)}&x=1`;

test("names under which records are sent, names of members, pointers of violations, URLs", async () => {
  const harness = new Harness();
  let n = 0;
  const sent = (name: string, record: object = {}): { source: string; sent: string; text: string } => ({
    source: "web",
    sent: name,
    text: JSON.stringify({ id: String(++n), at, ...record }),
  });
  try {
    await harness.open(strange);
    await harness.load([
      sent("open", { ...named, "[email]": 3, to: { city: "Delft", ...named }, q: { [address]: { a: 1 } } }),
      sent("open", { page: { url } }),
      sent("open", { counts: { [address]: "x" } }),
      sent("closed", named),
      sent(address),
      sent("other.needle@example.com"),
      sent("pay 4556737586899855"),
      sent(`open@${address}`),
      sent("open@2.0.0-rc.beta"),
      { source: "web", sent: address, error: "invalid_json: at 1", bytes: Buffer.from(address) },
    ]);
    expect((await harness.rows("SELECT _extra FROM open ORDER BY id")).flat()).toEqual([
      '{"[email]":1,"455673******9855":2,"[email] 2":3,"to":{"[email]":1,"455673******9855":2},"q":{"[email]":{"a":1}}}',
      '{"page":{"url":"https://shop.example/?q=[email]&x=1"}}',
    ]);
    expect(
      await harness.rows("SELECT reason, sent, count(*)::INTEGER FROM quarantine GROUP BY ALL ORDER BY ALL"),
    ).toEqual([
      ["contract_violation", "closed", 1],
      ["contract_violation", "open", 1],
      ["invalid_json", "[email]", 1],
      ["unknown_contract", "[email]", 2],
      ["unknown_contract", "pay 455673******9855", 1],
      ["unknown_version", "open@2.0.0-rc.beta", 1],
      ["unknown_version", "open@[email]", 1],
    ]);
    expect(
      await harness.rows(
        "SELECT v->>'pointer', v->>'message' FROM (SELECT unnest(violations::JSON[]) AS v FROM quarantine) ORDER BY 1",
      ),
    ).toEqual([
      ["/455673******9855", "/455673******9855 breaks additionalProperties false."],
      ["/[email]", "/[email] breaks additionalProperties false."],
      ["/counts/[email]", '/counts/[email] breaks type "integer".'],
    ]);
    expect((await harness.engine.verify()).ok).toBe(true);
    await harness.close();
    expect(await scan(harness.dataDir, needles)).toEqual([]);
  } finally {
    await harness.end();
  }
});
