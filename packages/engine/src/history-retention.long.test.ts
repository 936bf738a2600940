/** What brings records of a history back that had gone: a rebuild, and the erasure of a person. */
import { afterEach, expect, test } from "vitest";
import {
  begun,
  bills,
  bought,
  harness,
  keeping,
  moved,
  named,
  problems,
  shown,
  untilGone,
} from "./history-retention.fixture.ts";

afterEach(() => harness.end());

test("a rebuild finds nothing different, and what it brings back is not shown and goes again", async () => {
  await begun();
  await harness.load([named(100, "Ann"), named(90, "Anne"), named(80, "Anna"), named(50, "Ada")]);
  await keeping(60);
  await untilGone(2);
  const before = await shown();
  const { id } = await harness.engine.tasks.rebuild({ table: "people", swap: "always", share: 1 }, "test");
  await expect
    .poll(async () => (await harness.engine.tasks.show(id)).state, { timeout: 60_000 })
    .toBe("done");
  expect(await shown()).toEqual(before);
  await untilGone(4);
  expect(await shown()).toEqual(before);
  await harness.engine.tasks.undo(id, "test");
  await harness.load([named(70, "Ida")]);
  expect((await shown()).map(([, name]) => name)).toEqual(["Ida", "Ada"]);
  expect(await problems()).toEqual([]);
});

test("what is erased goes from what was built before the border too, and nothing else does", async () => {
  await begun();
  await harness.load([
    named(100, "Ann"),
    moved(90, "Rome"),
    named(100, "Bob", "bob"),
    moved(90, "Kiel", "bob"),
  ]);
  await harness.load([
    moved(80, "Oslo", "bob"),
    named(40, "Rob", "bob"),
    bought(85, "bob"),
    bought(85),
    moved(50, "Bern"),
  ]);
  await keeping(60);
  await untilGone(1);
  const others = (rows: readonly unknown[][]): unknown[] => rows.filter((row) => !row.includes("bob"));
  const before = { shown: others(await shown()), bills: others(await bills()) };
  expect(await bills()).toContainEqual([85, "bob", "Bob", "Kiel", true]);
  // Of the contracts only one says of whom it is.
  await harness.engine.erasures.erase({ identifiers: [{ value: "bob" }], allowMany: "a test" });
  expect(await shown()).toEqual([...before.shown, ["bob", null, "Oslo", 80, true]]);
  expect(await bills()).toEqual([...before.bills, [85, "bob", null, "Kiel", true]]);
  expect(await problems()).toEqual([]);
});
