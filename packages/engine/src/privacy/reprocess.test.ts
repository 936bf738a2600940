/** Records that were sealed in quarantine and go through a mended program. */
import { compileProject } from "@weir/compile";
import type { Program } from "@weir/compile";
import { Type, contract, pci, pii, timestamp } from "@weir/contract";
import { expect, test } from "vitest";
import { Harness } from "../harness.fixture.ts";

const project = (most: number): Program => {
  const paid = contract("paid", {
    version: "1.0.0",
    owner: "test",
    id: "id",
    time: "at",
    fields: Type.Object({
      id: Type.String(),
      at: timestamp(),
      amount: Type.Integer({ maximum: most }),
      email: pii.email(),
      card: pci.pan({ pattern: "^[0-9]{16}$" }),
      cvv: pci.cvv({ pattern: "^[0-9]{3}$" }),
    }),
  });
  return compileProject({ name: "p", sources: { web: { contracts: [paid] } }, tables: {} });
};

test("a record that failed for another reason is accepted though its security code is gone", async () => {
  const harness = new Harness({ internals: { upkeepEveryMs: 20 } });
  try {
    await harness.open(project(10));
    const text =
      '{"id":"1","at":"2026-01-01T00:00:00Z","amount":50,"email":"ann@example.com","card":"4556737586899855","cvv":"123"}';
    await harness.load([{ source: "web", sent: "paid", text }]);
    await harness.open(project(100));
    const { id } = await harness.engine.tasks.quarantine({ action: "reprocess", share: 1 }, "tester");
    await expect.poll(async () => (await harness.engine.tasks.show(id)).state).toBe("done");
    expect(await harness.rows("SELECT amount::INTEGER, left(email, 10), card, cvv FROM paid")).toEqual([
      [50, "tok_email_", "455673******9855", "***"],
    ]);
    expect((await harness.engine.verify()).ok).toBe(true);
  } finally {
    await harness.end();
  }
});
