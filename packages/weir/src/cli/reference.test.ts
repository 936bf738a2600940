import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { withGeneratedParts } from "./reference.fixture.ts";

const path = new URL("../../../../docs/reference/cli.md", import.meta.url);

/** `UPDATE_DOCS=1 npx vitest run packages/weir/src/cli/reference` writes the parts anew. */
test("docs/reference/cli.md says what the command line is", () => {
  const text = readFileSync(path, "utf8");
  const wanted = withGeneratedParts(text);
  if (process.env["UPDATE_DOCS"] === "1") writeFileSync(path, wanted);
  else expect(text).toBe(wanted);
});
