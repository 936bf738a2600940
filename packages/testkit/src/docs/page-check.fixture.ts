import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root, runPage } from "./page.fixture.ts";
import type { Difference } from "./page.fixture.ts";

/** What a page says otherwise than it happens; with WEIR_UPDATE_PAGES=1 nothing, as the page is given what happened. */
export async function checkedPage(page: string): Promise<readonly Difference[]> {
  const differences = await runPage(page);
  if (process.env["WEIR_UPDATE_PAGES"] !== "1") return differences;
  writeDown(page, differences);
  return [];
}

/** To be read before it is committed. */
function writeDown(page: string, differences: readonly Difference[]): void {
  const lines = readFileSync(join(root, page), "utf8").split("\n");
  for (const { line, said, happened } of differences.toReversed()) {
    lines.splice(line, said.split("\n").length - 1, ...happened.trimEnd().split("\n"));
  }
  writeFileSync(join(root, page), lines.join("\n"));
}
