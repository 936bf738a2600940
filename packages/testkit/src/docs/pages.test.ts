import { expect, test } from "vitest";
import { checkedPage } from "./page-check.fixture.ts";

/** Pages whose commands are run and whose output must be what the page says; others are in the long test. */
const pages = ["README.md", "docs/guide/getting-started.md", "docs/guide/tables.md"];

test.each(pages)("what %s says is what happens", async (page) => {
  expect(await checkedPage(page)).toEqual([]);
});
