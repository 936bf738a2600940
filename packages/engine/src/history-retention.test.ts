/** Histories of entities that are kept for a time: what is shown, what goes, and what is built from them. */
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

test("states that ended go; what was in force at the border stays, and all that comes late finds what it needs", async () => {
  await begun();
  await harness.load([
    named(100, "Ann"),
    moved(90, "Rome"),
    moved(80, "Oslo"),
    moved(50, "Bern"),
    bought(85),
  ]);
  await keeping(60);
  await untilGone(1);
  const kept = [
    ["ann", "Ann", "Oslo", 80, false],
    ["ann", "Ann", "Bern", 50, true],
  ];
  expect(await shown()).toEqual(kept);
  // Older than the border: names what is in force now, and the other says nothing that a later one does not.
  await harness.load([named(95, "Anna"), moved(85, "Wien"), moved(110, "Linz")]);
  expect(await shown()).toEqual(kept.map(([who, , ...rest]) => [who, "Anna", ...rest]));
  expect(await harness.rows("SELECT name, city FROM people")).toEqual([["Anna", "Bern"]]);
  await harness.load([moved(55, "Graz"), bought(70), bought(58), bought(52)]);
  expect(await shown()).toEqual([
    ["ann", "Anna", "Oslo", 80, false],
    ["ann", "Anna", "Graz", 55, false],
    ["ann", "Anna", "Bern", 50, true],
  ]);
  // The one of day 85 is as it was found; the one of day 70 came when nobody knew any more.
  expect(await bills()).toEqual([
    [52, "ann", "Anna", "Graz", true],
    [58, "ann", "Anna", "Oslo", true],
    [70, "ann", null, null, null],
    [85, "ann", "Ann", "Rome", true],
  ]);
  const { tables } = await harness.engine.status();
  expect(tables.find(({ name }) => name === "purchases")?.concerns).toEqual([
    expect.stringContaining("1 of its records are older than what is kept of people_history"),
  ]);
  expect(await problems()).toEqual([]);
});
