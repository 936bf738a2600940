import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { root } from "./page.fixture.ts";

const spec = readFileSync(join(root, "docs", "SPEC.md"), "utf8");

interface LinkedTest {
  readonly title: string;
  readonly file: string;
}

/** Links to test files; their text is a title, or the beginning of one. */
function linkedTests(markdown: string): LinkedTest[] {
  return [...markdown.matchAll(/\[([^\]]+)\]\((\S+\.test\.ts)\)/g)].map(([, title = "", file = ""]) => ({
    title,
    file,
  }));
}

/** Whether a test or a group of that title is in the source: a title begins with a quote of some kind. */
function hasTitle(source: string, title: string): boolean {
  return ['"', "'", "`"].some((quote) => source.includes(quote + title));
}

describe("docs/SPEC.md", () => {
  test("has the thirteen invariants in their order", () => {
    const numbers = [...spec.matchAll(/^## (\d+)\. .+\.$/gm)].map(([, number]) => Number(number));
    expect(numbers).toEqual(Array.from({ length: 13 }, (_, i) => i + 1));
  });

  test("each invariant has a test, or says that it is not held yet", () => {
    for (const section of spec.split(/^## /m).slice(1)) {
      expect(linkedTests(section).length > 0 || section.includes("*Not yet"), section.split("\n")[0]).toBe(
        true,
      );
    }
  });

  const tests = linkedTests(spec);

  test.each(tests.map(({ title, file }) => [file, title]))("%s has the test: %s", (file, title) => {
    expect(hasTitle(readFileSync(resolve(root, "docs", file), "utf8"), title)).toBe(true);
  });

  test("a title that is nowhere is noticed, and one that is renamed", () => {
    const [first] = tests;
    const source = readFileSync(resolve(root, "docs", first?.file ?? ""), "utf8");
    expect(hasTitle(source, `${first?.title} and more`)).toBe(false);
    expect(hasTitle(source.replaceAll(first?.title ?? "", "renamed"), first?.title ?? "")).toBe(false);
  });
});
