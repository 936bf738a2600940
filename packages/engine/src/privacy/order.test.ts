import { compileProject } from "@weir/compile";
import { Type, contract, pii, timestamp } from "@weir/contract";
import { expect, test } from "vitest";
import { Harness } from "../harness.fixture.ts";
import { personalProgram, recordsOf } from "./personal.fixture.ts";

/** What the tables hold, with values in place of tokens. */
async function tables(harness: Harness): Promise<unknown[]> {
  const found: unknown[] = [];
  for (const table of ["ordered", "customers", "per_user", "app_logs"]) {
    const columns =
      table === "ordered" || table === "app_logs"
        ? "* EXCLUDE (_received_at, _number, _line, _writer, _content)"
        : "*";
    const text = JSON.stringify(await harness.rows(`SELECT ${columns} FROM ${table}`));
    const tokens = text.match(/(?:tok_[a-z]+|sub)_[\w-]{22}/g) ?? [];
    const values = await harness.engine.vault!.reveal(tokens);
    const named = text.replaceAll(/(?:tok_[a-z]+|sub)_[\w-]{22}/g, (token) => `<${values.get(token)}>`);
    found.push((JSON.parse(named) as unknown[][]).map((row) => JSON.stringify(row)).toSorted());
  }
  return found;
}

test("tables are the same up to the names of tokens, whatever the order, the batches, repetition and restarts", async () => {
  const records = [1, 2, 3, 4].flatMap((n) => recordsOf(n, "v1"));
  const one = new Harness();
  const other = new Harness();
  try {
    await one.open(personalProgram);
    await one.load(records);
    await other.open(personalProgram);
    const shuffled = records.toReversed();
    for (let at = 0; at < shuffled.length; at += 5) {
      await other.load(shuffled.slice(at, at + 7));
      if (at === 10) await other.open(personalProgram);
    }
    const [first, second] = [await tables(one), await tables(other)];
    expect(first).toEqual(second);
    expect(JSON.stringify(first)).toContain("<person.1.needle@example.com>");
  } finally {
    await one.end();
    await other.end();
  }
});

test("a sealed record is judged anew as it was sent, once its contract takes it", async () => {
  const signup = (fields: Record<string, object>): ReturnType<typeof compileProject> =>
    compileProject({
      name: "again",
      sources: {
        web: {
          contracts: [
            contract("signup", {
              version: "1.0.0",
              owner: "tests",
              id: "id",
              time: "at",
              fields: Type.Object({ id: Type.String(), at: timestamp(), ...fields } as never),
            }),
          ],
        },
      },
      tables: {},
    });
  const harness = new Harness();
  try {
    await harness.open(signup({ email: pii.email({ maxLength: 5 }) }));
    const text = '{"id":"1","at":"2026-01-01T00:00:00Z","email":"ann@example.com"}';
    await harness.load([{ source: "web", sent: "signup", text }]);
    expect(await harness.rows("SELECT count(*)::INTEGER FROM quarantine")).toEqual([[1]]);
    await harness.open(signup({ email: pii.email() }));
    const { id } = await harness.engine.tasks.quarantine({ action: "reprocess", share: 1 }, "tester");
    await expect
      .poll(async () => (await harness.engine.tasks.show(id)).endedAt, { timeout: 30_000 })
      .not.toBeNull();
    const [[email]] = (await harness.rows("SELECT email FROM signup")) as [[string]];
    expect([...(await harness.engine.vault!.reveal([email]))]).toEqual([[email, "ann@example.com"]]);
    expect(await harness.rows("SELECT count(*)::INTEGER FROM quarantine")).toEqual([[0]]);
    await harness.load([{ source: "web", sent: "signup", text }]);
    expect(await harness.rows("SELECT count(*)::INTEGER FROM signup")).toEqual([[1]]);
    expect((await harness.engine.verify()).ok).toBe(true);
  } finally {
    await harness.end();
  }
});
