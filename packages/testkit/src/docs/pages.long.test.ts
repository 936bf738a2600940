import { expect, test } from "vitest";
import { checkedPage } from "./page-check.fixture.ts";

/** Pages whose commands are run and whose output must be what the page says; those of the first steps are in pages.test.ts. */
const pages = [
  "docs/guide/quarantine.md",
  "docs/guide/replay.md",
  "docs/guide/entities.md",
  "docs/guide/time.md",
  "docs/guide/serving.md",
  "docs/guide/operating.md",
  "docs/guide/persons.md",
  "docs/guide/order-facts.md",
  "docs/guide/stripe.md",
  "docs/guide/files.md",
  "docs/guide/logs.md",
];

test.each(pages)("what %s says is what happens", async (page) => {
  expect(await checkedPage(page)).toEqual([]);
});
