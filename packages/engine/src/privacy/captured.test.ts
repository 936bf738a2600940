import { compileProject } from "@weir/compile";
import { changeContract } from "@weir/contract";
import { expect, test } from "vitest";
import { Harness } from "../harness.fixture.ts";

test("a captured column that names persons is not searched, as fields that do are not; an erasure finds who is meant", async () => {
  const calls = changeContract("db", { "public.people": { name: "name" } });
  const harness = new Harness();
  try {
    await harness.open(
      compileProject({
        name: "p",
        sources: { db: { contracts: [calls] } },
        tables: {},
        privacy: { subjects: [["db.public.calls", { account: "caller" }]] },
      }),
    );
    // By chance an id may be what a card number is.
    const account = "4556737586899855";
    const row = { n: 1, caller: account, note: `of ${account}` };
    const text = { id: "1", at: "2026-01-01T00:00:00Z", stream: "public.calls", op: "insert", version: "1" };
    await harness.load([{ source: "db", sent: "db", text: JSON.stringify({ ...text, key: "[1]", row }) }]);
    expect(await harness.rows(`SELECT "row"->>'caller', "row"->>'note' FROM db`)).toEqual([
      [account, "of 455673******9855"],
    ]);
    const plan = await harness.engine.erasures.plan({ identifiers: [{ kind: "account", value: account }] });
    expect(plan).toMatchObject({ contracts: [{ contract: "db", records: 1 }] });
  } finally {
    await harness.end();
  }
});
