import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Certificates, verifyCertificate } from "./certificates.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "weir-certificates-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const fileOf = (number: number): string => join(directory, "c", `${String(number).padStart(8, "0")}.json`);
const textOf = (number: number): string => readFileSync(fileOf(number), "utf8");

test("a certificate holds by itself and follows the one before; a changed one does not", async () => {
  const certificates = new Certificates(join(directory, "c"));
  await certificates.issue("e1", "erased", { records: 3 });
  const second = await certificates.issue("e1", "complete", { records: 3, files: 0 });
  expect(verifyCertificate(textOf(1), "1")).toMatchObject({
    ok: true,
    problem: null,
    subject: "e1",
    state: "erased",
  });
  expect(verifyCertificate(textOf(2), "2", textOf(1))).toMatchObject({ ok: true, number: 2 });
  expect(certificates.latest("e1")).toEqual(second);
  const forged = textOf(1).replace('"records": 3', '"records": 2');
  expect(verifyCertificate(forged, "1")).toMatchObject({ ok: false });
  const added = textOf(1).replace('"state"', '"remark": "nothing was left out",\n  "state"');
  expect(verifyCertificate(added, "1")).toMatchObject({ ok: false });
  // Of two members with one name a reader may see the other.
  const twice = textOf(1).replace('"records": 3', '"records": 2, "records": 3');
  expect(verifyCertificate(twice, "1")).toMatchObject({ ok: false });
  expect(verifyCertificate(JSON.stringify(JSON.parse(textOf(1))), "1")).toMatchObject({ ok: true });
  // Signed, but in the place of another.
  expect(verifyCertificate(textOf(2), "2", forged)).toMatchObject({ ok: false });
  for (const text of ["{}", "null", "[]", ""])
    expect(() => verifyCertificate(text, "x")).toThrow(
      expect.objectContaining({ code: "certificate_broken" }),
    );
});

test("each state of a subject is certified once, by one key that only its owner reads", async () => {
  const certificates = new Certificates(join(directory, "c"));
  const first = await certificates.issue("e1", "erased", { records: 3 });
  const again = await new Certificates(join(directory, "c")).issue("e1", "erased", { records: 4 });
  expect(again).toEqual(first);
  const other = await certificates.issue("e2", "erased", {});
  expect(other).toMatchObject({ number: 2, publicKey: first.publicKey });
  expect(statSync(join(directory, "c", "key.pem")).mode & 0o777).toBe(0o600);
  rmSync(join(directory, "c", "key.pem"));
  await expect(certificates.issue("e3", "erased", {})).rejects.toMatchObject({
    code: "certificate_key_missing",
  });
});

test("a certificate is never written over another, whatever is removed", async () => {
  const certificates = new Certificates(join(directory, "c"));
  for (const subject of ["e1", "e2"]) await certificates.issue(subject, "erased", {});
  const second = textOf(2);
  rmSync(fileOf(1));
  expect(await certificates.issue("e3", "erased", {})).toMatchObject({ number: 3 });
  expect(textOf(2)).toBe(second);
  expect(verifyCertificate(textOf(3), "3", second)).toMatchObject({ ok: true });
});

test("a draft that a crash left does not count", async () => {
  const certificates = new Certificates(join(directory, "c"));
  await certificates.issue("e1", "erased", {});
  writeFileSync(`${fileOf(2)}.new`, "{");
  expect(await certificates.issue("e2", "erased", {})).toMatchObject({ number: 2 });
  expect(certificates.list()).toHaveLength(2);
});
