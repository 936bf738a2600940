import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { collectFailpoints } from "./failpoints.ts";

test("the list of failpoints is what the code has", () => {
  const names = readdirSync(import.meta.dirname).filter((name) => /^[^.]+\.ts$/.test(name));
  const code = names.map((name) => readFileSync(join(import.meta.dirname, name), "utf8")).join("\n");
  const used = [...code.matchAll(/failpoint\("([^"]+)"\)/g)].map(([, name]) => name);
  expect(new Set(used)).toEqual(new Set(collectFailpoints));
});
