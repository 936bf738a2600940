import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

interface LockFile {
  readonly packages: Record<string, { readonly optionalDependencies?: Record<string, string> }>;
}

test("The lock file has the binaries of every platform, without which `npm ci` of npm 11 refuses it", () => {
  const path = fileURLToPath(new URL("../../../package-lock.json", import.meta.url));
  const { packages } = JSON.parse(readFileSync(path, "utf8")) as LockFile;
  const missing = Object.values(packages)
    .flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies))
    .filter((name) => !Object.keys(packages).some((at) => at.endsWith(`node_modules/${name}`)));

  expect(missing).toEqual([]);
});
