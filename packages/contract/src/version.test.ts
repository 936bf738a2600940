import { expect, test } from "vitest";
import { compareVersions, parseVersion, readableBy } from "./version.ts";
import type { Version } from "./version.ts";

const parsed = (text: string): Version => {
  const version = parseVersion(text);
  if (version === undefined) throw new Error(`${text} is not a version.`);
  return version;
};

test("versions are those of semver 2.0.0", () => {
  expect(parseVersion("1.2.3")).toEqual({ major: 1, minor: 2, patch: 3, prerelease: [] });
  expect(parseVersion("10.20.30-rc.1.x-y+build.007")).toEqual({
    major: 10,
    minor: 20,
    patch: 30,
    prerelease: ["rc", "1", "x-y"],
  });
  const wrong = [
    "",
    "1",
    "1.2",
    "v1.2.3",
    "1.2.3.4",
    "01.2.3",
    "1.02.3",
    "1.2.03",
    "1.2.3-",
    "1.2.3-01",
    "1.2.3-a..b",
    "1.2.3+",
  ];
  for (const text of [
    ...wrong,
    " 1.2.3",
    "1.2.3\n",
    "-1.2.3",
    "1.2.3-é",
    "1.2.٣",
    "1".repeat(16) + ".0.0",
    `1.0.0-${"a".repeat(200)}`,
  ]) {
    expect(parseVersion(text), text).toBeUndefined();
  }
});

test("precedence is that of semver 2.0.0 section 11", () => {
  const rising = [
    "0.0.1",
    "0.1.0",
    "0.9.9",
    "1.0.0-0",
    "1.0.0-2",
    "1.0.0-10",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.0.1",
    "1.2.0",
    "1.10.0",
    "2.0.0-99999999999999999999",
    "2.0.0-100000000000000000000",
    "2.0.0",
  ];
  rising.forEach((a, i) => {
    rising.forEach((b, j) =>
      expect(Math.sign(compareVersions(parsed(a), parsed(b))), `${a} ${b}`).toBe(Math.sign(i - j)),
    );
  });
  expect(compareVersions(parsed("1.0.0+a"), parsed("1.0.0+b"))).toBe(0);
});

test("a contract reads records of its own major version, older and newer", () => {
  const deployed = { version: "2.3.1" };
  expect(
    ["2.3.1", "2.0.0", "2.99.0", "2.4.0-beta.1", "2.0.0+x"].every((sent) => readableBy(sent, deployed)),
  ).toBe(true);
  expect(
    ["1.9.9", "3.0.0", "2", "2.3", "", "latest", "v2.3.1"].some((sent) => readableBy(sent, deployed)),
  ).toBe(false);
  expect(readableBy("1.0.0", { version: "not one" })).toBe(false);
});
