import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { errorCodes } from "@weir/contract";
import { errorPage, errorReference } from "../../../../scripts/write-error-reference.ts";

test("docs/reference/errors.md is the list of error codes: node --import tsx scripts/write-error-reference.ts writes it", () => {
  expect(readFileSync(errorPage, "utf8")).toBe(errorReference());
});

test("it has every code once", () => {
  const codes = [...errorReference().matchAll(/^\| `([a-z0-9_]+)` \|/gm)].map(([, code]) => code);
  expect(new Set(codes)).toEqual(new Set(Object.keys(errorCodes)));
  expect(codes.length).toBe(Object.keys(errorCodes).length);
});
