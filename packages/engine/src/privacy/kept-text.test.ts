import { expect, test } from "vitest";
import { Harness } from "../harness.fixture.ts";
import { checkKeptTexts, keptProject } from "./kept-text.fixture.ts";

test("what is kept of a text has no value and every token, and the text is restored to the byte", async () => {
  await checkKeptTexts(12);
});

test("a copy in a member that nobody declared is found before and behind the field, and numbers in any form", async () => {
  const harness = new Harness({ internals: { upkeepEveryMs: 3_600_000 } });
  await harness.open(keptProject);
  const records = [
    '"email":"ann@example.com","unknown":"ann@example.com"',
    '"unknown":"ann@example.com","email":"ann@example.com"',
    '"user":421.0,"email":"ann@example.com"',
    '"user":421,"note":"x"',
    '"note":"x","user":421',
    '"user":421421,"user_id":"421421","more":{"id":421421,"ids":{"user":421421}}',
  ];
  const texts = records.map((more, i) => `{"id":"${i}","at":"2026-01-01T00:00:00Z",${more}}`);
  await harness.load(texts.map((text) => ({ source: "web", sent: "flat", text })));
  const kept = (await harness.rows("SELECT text FROM raw")).join();
  expect(kept).not.toMatch(/ann@|421/);
  expect(kept.match(/"user": {2}"sub_/g)).toHaveLength(5);
  expect(await harness.rows("SELECT _extra::VARCHAR NOT LIKE '%421%' FROM flat WHERE id = '5'")).toEqual([
    [true],
  ]);
  await harness.end();
});

test("a set of values that was met before keeps its tokens, however few are remembered; destroyed, it gets others", async () => {
  const harness = new Harness({ internals: { upkeepEveryMs: 3_600_000, recentIds: 40 } });
  await harness.open(keptProject);
  const tokens = async (from: number, people: readonly number[]): Promise<unknown[][]> => {
    const text = (id: number, one: number): string =>
      `{"id":"${id}","at":"2026-01-01T00:00:00Z","user":${one},"email":"p${one}@example.com"}`;
    await harness.load(people.map((one, i) => ({ source: "web", sent: "flat", text: text(from + i, one) })));
    return await harness.rows(
      `SELECT "user", email FROM flat WHERE id::INTEGER >= ${from} ORDER BY id::INTEGER`,
    );
  };
  const first = await tokens(0, [1, 2, 3]);
  expect(await tokens(100, [3, 1])).toEqual([first[2], first[0]]);
  // More than are remembered.
  await tokens(
    200,
    Array.from({ length: 9 }, (_, i) => 10 + i),
  );
  expect(await tokens(300, [1, 2, 3])).toEqual(first);
  const [who, email] = first[0] as string[];
  await harness.engine.vault!.destroySubjects([who ?? ""]);
  const again = await tokens(400, [1, 2]);
  expect(again[1]).toEqual(first[1]);
  expect(again[0]).not.toContain(who);
  expect(again[0]).not.toContain(email);
  const values = await harness.engine.vault!.reveal(again[0] as string[]);
  expect([...values.values()]).toEqual(["1", "p1@example.com"]);
  await harness.end();
});
