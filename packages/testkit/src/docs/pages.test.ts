import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root, runPage } from "./page.fixture.ts";
import type { Difference } from "./page.fixture.ts";

/** Pages whose commands are run and whose output must be what the page says. */
const pages = [
  "README.md",
  "docs/guide/getting-started.md",
  "docs/guide/tables.md",
  "docs/guide/entities.md",
  "docs/guide/persons.md",
  "docs/guide/order-facts.md",
  "docs/guide/quarantine.md",
  "docs/guide/time.md",
  "docs/guide/replay.md",
  "docs/guide/serving.md",
  "docs/guide/operating.md",
  "docs/guide/stripe.md",
  "docs/guide/files.md",
  "docs/guide/logs.md",
];

test.each(pages)("what %s says is what happens", async (page) => {
  const differences = await runPage(page);
  if (process.env["WEIR_UPDATE_PAGES"] === "1") writeDown(page, differences);
  else expect(differences).toEqual([]);
});

/** With WEIR_UPDATE_PAGES=1 the pages are given what happened, to be read before it is committed. */
function writeDown(page: string, differences: readonly Difference[]): void {
  const lines = readFileSync(join(root, page), "utf8").split("\n");
  for (const { line, said, happened } of differences.toReversed()) {
    lines.splice(line, said.split("\n").length - 1, ...happened.trimEnd().split("\n"));
  }
  writeFileSync(join(root, page), lines.join("\n"));
}
