import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../../..");

interface Block {
  readonly language: string;
  readonly text: string;
}

function blocksOf(markdown: string): Block[] {
  return [...markdown.matchAll(/^```([a-z ]+)\n(.*?)^```$/gms)].map(([, language = "", text = ""]) => ({
    language,
    text,
  }));
}

/**
 * The examples of a page as one module, in their order. A line `value; // => expected` asserts that they are equal; a block marked
 * `throws` must throw the message in the text block after it.
 */
function moduleOf(blocks: readonly Block[]): string {
  const imports: string[] = ['import assert from "node:assert/strict";'];
  const bodies = blocks.map(({ language, text }, index) => {
    if (!language.startsWith("ts")) return "";
    const body = text
      .replaceAll(/^import .*$/gm, (line) => {
        imports.push(line.replace('"weir"', '"@weir/contract"'));
        return "";
      })
      .replaceAll(/^(.*); \/\/ => (.*)$/gm, "assert.deepEqual($1, $2);");
    if (language === "ts") return body;
    return `assert.throws(() => {\n${body}\n}, { message: ${JSON.stringify(blocks[index + 1]?.text.trimEnd())} });`;
  });
  const merged = new Map(imports.flatMap(namesOf));
  return [...[...merged.values()].map(String), ...bodies, 'console.log("done");'].join("\n");
}

/** One import a name, so that pages may repeat imports. */
function namesOf(line: string): [string, string][] {
  const [, keyword = "", names, from = ""] = /^import (type )?\{ (.*) \} from (.*)$/.exec(line) ?? [];
  if (names === undefined) return [[line, line]];
  return names.split(", ").map((name) => [name, `import ${keyword}{ ${name} } from ${from}`]);
}

const pages = ["docs/guide/contracts.md", "docs/reference/fields.md"];

test("the examples of the pages compile, run and give what they say", () => {
  // Below packages/contract, so that the packages they import are found.
  const folder = mkdtempSync(join(root, "packages/contract/.docs-"));
  try {
    const sources = pages.map((page) => moduleOf(blocksOf(readFileSync(join(root, page), "utf8"))));
    sources.forEach((source, index) => writeFileSync(join(folder, `page-${index}.ts`), source));
    const options = { extends: "../../../tsconfig.json", include: ["*.ts"] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(options));
    expect(run(["node_modules/typescript/bin/tsc", "--project", folder])).toBe("");
    for (const [index, source] of sources.entries()) {
      expect(source.split("assert.").length).toBeGreaterThan(8);
      expect(run(["--import", "tsx", join(folder, `page-${index}.ts`)]), pages[index]).toBe("done\n");
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** What a Node process prints, failed or not. */
function run(parameters: string[]): string {
  try {
    return execFileSync(process.execPath, parameters, { cwd: root, encoding: "utf8", stdio: "pipe" });
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    return `${stdout ?? ""}${stderr ?? ""}`;
  }
}
