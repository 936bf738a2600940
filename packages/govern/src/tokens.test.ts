import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Governance } from "./governance.ts";
import { Tokens } from "./tokens.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "weir-tokens-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

test("a token is known until it is revoked, over restarts", () => {
  const tokens = new Tokens(directory);
  const { token } = tokens.create("ann", "analyst", undefined);
  expect(token).toMatch(/^weir_[\w-]{43}$/);
  for (const now of [tokens, new Tokens(directory)])
    expect(now.find(token)).toMatchObject({ name: "ann", role: "analyst", expiresAt: null });
  const other = tokens.create("bob", "viewer", undefined).token;
  tokens.revoke("ann");
  for (const now of [tokens, new Tokens(directory)]) {
    expect(now.find(token)).toBeUndefined();
    expect(now.find(other)?.name).toBe("bob");
    expect(now.list().map(({ name }) => name)).toEqual(["bob"]);
  }
});

test("a token ends at its time", () => {
  let now = Date.parse("2026-01-01T00:00:00Z");
  const tokens = new Tokens(directory, () => now);
  const { token, info } = tokens.create("ann", "viewer", 60_000);
  expect(info.expiresAt).toBe("2026-01-01T00:01:00.000Z");
  now += 59_999;
  expect(tokens.find(token)?.name).toBe("ann");
  now += 1;
  expect(tokens.find(token)).toBeUndefined();
  expect(tokens.list()).toHaveLength(1);
});

test("the token itself is nowhere on the disk, and only the owner reads the files", () => {
  const tokens = new Tokens(directory);
  const { token } = tokens.create("ann", "admin", undefined);
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    expect(readFileSync(path, "utf8")).not.toContain(token.slice(5));
    expect(statSync(path).mode & 0o077).toBe(0);
  }
});

test.each(["", "Ann", "../x", "a b", "a".repeat(65), "-a", "é"])("%j is no name", (name) => {
  const tokens = new Tokens(directory);
  expect(() => tokens.create(name, "viewer", undefined)).toThrow(
    expect.objectContaining({ code: "invalid_usage" }),
  );
  expect(readdirSync(directory)).toEqual([]);
});

test("a name is taken once; an unknown one cannot be revoked", () => {
  const tokens = new Tokens(directory);
  tokens.create("ann", "viewer", undefined);
  expect(() => tokens.create("ann", "admin", undefined)).toThrow(
    expect.objectContaining({ code: "token_exists" }),
  );
  expect(() => tokens.revoke("bob")).toThrow(expect.objectContaining({ code: "not_found" }));
});

test("what a killed process left of a token is none; a damaged file stops the start", () => {
  new Tokens(directory).create("ann", "viewer", undefined);
  writeFileSync(join(directory, "bob.json.new"), '{"name":"bob"');
  expect(new Tokens(directory).list().map(({ name }) => name)).toEqual(["ann"]);
  expect(readdirSync(directory)).toEqual(["ann.json"]);
  const whole = JSON.parse(readFileSync(join(directory, "ann.json"), "utf8")) as object;
  for (const damaged of [
    "",
    "{}",
    JSON.stringify({ ...whole, role: "root" }),
    JSON.stringify({ ...whole, expiresAt: "soon" }),
  ]) {
    writeFileSync(join(directory, "ann.json"), damaged);
    expect(() => new Tokens(directory)).toThrow(expect.objectContaining({ code: "tokens_unreadable" }));
  }
});

test("without tokens this machine alone is let in; with one, nobody without it", async () => {
  const governance = await Governance.open(directory);
  expect(governance.callerOf(undefined, true)).toMatchObject({ name: "anyone" });
  expect(() => governance.callerOf(undefined, false)).toThrow(
    expect.objectContaining({ code: "token_missing" }),
  );
  const { token } = governance.tokens.create("ann", "viewer", undefined);
  expect(() => governance.callerOf(undefined, true)).toThrow(
    expect.objectContaining({ code: "token_missing" }),
  );
  expect(() => governance.callerOf(`${token}x`, true)).toThrow(
    expect.objectContaining({ code: "token_invalid" }),
  );
  expect(governance.callerOf(token, false)).toMatchObject({ name: "ann", role: "viewer" });
  await governance.close();
});
