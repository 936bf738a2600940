import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { newKey } from "./cipher.ts";
import { Vault } from "./vault.ts";
import { bytesOf } from "./vault-file.ts";
import { VaultHarness } from "./vault.fixture.ts";

let harness: VaultHarness;
beforeEach(async () => {
  harness = new VaultHarness();
  await harness.open();
});
afterEach(() => harness.end());

const email = (value: string, subject?: string): { kind: string; value: string; subject?: string } => ({
  kind: "email",
  value,
  ...(subject === undefined ? {} : { subject }),
});

test("a value has one token of a kind, in one batch, in later ones and after a restart", async () => {
  const [first, again, phone, other] = await harness.assign([
    email("ann@example.com", "7"),
    email("ann@example.com", "8"),
    { kind: "phone", value: "ann@example.com" },
    email("bob@example.com"),
  ]);
  expect(first).toMatch(/^tok_email_[\w-]{22}$/);
  expect(again).toBe(first);
  expect(phone).toMatch(/^tok_phone_[\w-]{22}$/);
  expect(new Set([first, phone, other]).size).toBe(3);
  await harness.open();
  expect(await harness.assign([email("bob@example.com"), email("ann@example.com")])).toEqual([other, first]);
  expect([...(await harness.vault.reveal([first!, other!, "tok_email_unknown"]))]).toEqual(
    expect.arrayContaining([
      [first, "ann@example.com"],
      [other, "bob@example.com"],
    ]),
  );
});

test("batches side by side give one value one token", async () => {
  const batches = await Promise.all(
    Array.from({ length: 8 }, (_, i) =>
      harness.assign(Array.from({ length: 50 }, (_v, n) => email(`${(n * 7 + i) % 60}@example.com`))),
    ),
  );
  const tokens = new Map<string, string>();
  for (const [i, batch] of batches.entries())
    for (const [n, token] of batch.entries()) {
      const value = `${(n * 7 + i) % 60}@example.com`;
      expect(tokens.get(value) ?? token).toBe(token);
      tokens.set(value, token);
    }
  expect(new Set(tokens.values()).size).toBe(60);
});

test("a value is found with its tokens and subjects", async () => {
  const [shared, alone] = await harness.assign([
    email("family@example.com", "ann"),
    email("solo@example.com"),
    email("family@example.com", "bob"),
  ]);
  const [ann] = await harness.vault.findTokens("ann");
  const [bob] = await harness.vault.findTokens("bob", "subject");
  expect(ann).toEqual({ kind: "subject", token: ann!.token, subjects: [ann!.token] });
  expect(ann!.token).toMatch(/^sub_[\w-]{22}$/);
  const [found] = await harness.vault.findTokens("family@example.com");
  expect(found).toMatchObject({ kind: "email", token: shared });
  expect([...found!.subjects].sort()).toEqual([ann!.token, bob!.token].sort());
  expect(await harness.vault.findTokens("solo@example.com", "email")).toEqual([
    { kind: "email", token: alone, subjects: [alone] },
  ]);
  expect(await harness.vault.findTokens("solo@example.com", "phone")).toEqual([]);
});

test("texts are restored: strings, numbers, sealed parts; what a sender made look like a token stays", async () => {
  const [token] = await harness.assign([email('o"dd\\@example.com', "42")]);
  const [subject] = await harness.vault.findTokens("42");
  const seal = await harness.vault.sealer("2026-01-31");
  const sealed = seal('{"broken":');
  expect(sealed).toMatch(/^sealed:\d+:/);
  const texts = [
    `{"email": "${token}","n":  "${subject!.token}","card": "411111******1111","cvv": "***"}`,
    `{"email":"${token}","note":": \\"${token}\\""}`,
    sealed,
    `{"email": "tok_email_AAAAAAAAAAAAAAAAAAAAAA"}`,
    `${sealed.slice(0, -6)}AAAAA=`,
  ];
  const restored = await harness.vault.restoreTexts(texts);
  expect(JSON.parse(restored[0]!)).toMatchObject({ email: 'o"dd\\@example.com', n: 42, cvv: "000" });
  expect(restored[0]).toContain(`"email":"o\\"dd\\\\@example.com"`);
  expect(restored[0]).toMatch(/"card":"411111\d{6}1111"/);
  expect(restored[1]).toBe(texts[1]);
  expect(restored[2]).toBe('{"broken":');
  expect(restored[3]).toBeUndefined();
  expect(restored[4]).toBeUndefined();
  await harness.open();
  expect((await harness.vault.restoreTexts(texts))[2]).toBe('{"broken":');
  expect(await harness.vault.unseal([seal("later"), "open text"])).toEqual(["later", "open text"]);
});

/** What the vault keeps of keys. */
async function wrappedKeys(): Promise<Buffer[]> {
  const sql = await harness.connect();
  const reader = await sql.connection.runAndReadAll("SELECT wrapped FROM weir_vault.main.subjects");
  const keys = reader.getRows().map(([wrapped]) => Buffer.from(bytesOf(wrapped)));
  sql.close();
  return keys;
}

test("a destroyed subject is gone: no key's bytes in the file, no token, no decryption; others stay", async () => {
  const values = [email("a@example.com", "ann"), email("shared@example.com", "ann")];
  const [own, shared] = await harness.assign([...values, email("shared@example.com", "bob")]);
  const [ann] = await harness.vault.findTokens("ann");
  const many = Array.from({ length: 300 }, (_, i) => email(`${i}@example.com`, `user ${i}`));
  await harness.assign(many);
  await harness.open();
  const path = join(harness.dataDir, "vault", "vault.duckdb");
  const keys = await wrappedKeys();
  const inFile = (): number => {
    const bytes = readFileSync(path);
    return keys.filter((key) => bytes.includes(key)).length;
  };
  // The file must show a key where there is one, or the scan below would tell nothing.
  expect(inFile()).toBe(keys.length);
  const evidence = await harness.vault.destroySubjects([ann!.token, "sub_AAAAAAAAAAAAAAAAAAAAAA"]);
  expect(evidence).toEqual({
    subjects: 1,
    keys: 1,
    tokens: 2,
    ciphertexts: 3,
    proof: { kept: 3, decrypted: 0 },
  });
  expect(inFile()).toBe(keys.length - 1);
  expect(await harness.vault.findTokens("ann")).toEqual([]);
  expect(await harness.vault.findTokens("a@example.com")).toEqual([]);
  expect([...(await harness.vault.reveal([own!, shared!]))]).toEqual([[shared, "shared@example.com"]]);
  expect(await harness.vault.restoreTexts([`{"a": "${own}"}`, `{"a": "${shared}"}`])).toEqual([
    undefined,
    '{"a":"shared@example.com"}',
  ]);
  const [anew] = await harness.assign([email("a@example.com", "ann")]);
  expect(anew).not.toBe(own);
  await harness.open();
  expect(await harness.assign([email("a@example.com", "ann")])).toEqual([anew]);
  expect((await harness.vault.reveal([anew!])).get(anew!)).toBe("a@example.com");
});

test("the master key: made for its owner only, needed, and the right one", async () => {
  const path = join(harness.dataDir, "vault", "master.key");
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const key = readFileSync(path, "utf8");
  await harness.close();
  rmSync(path);
  await expect(harness.open()).rejects.toMatchObject({ code: "vault_key_missing" });
  writeFileSync(path, newKey().toString("base64"));
  await expect(harness.open()).rejects.toMatchObject({ code: "vault_key_wrong" });
  writeFileSync(path, "too short");
  await expect(harness.open()).rejects.toMatchObject({ code: "vault_key_wrong" });
  process.env["WEIR_TEST_MASTER"] = key;
  await harness.open({ env: "WEIR_TEST_MASTER" });
  delete process.env["WEIR_TEST_MASTER"];
  await expect(harness.open({ env: "WEIR_TEST_MASTER" })).rejects.toMatchObject({
    code: "vault_key_missing",
  });
  expect(Vault.exists(harness.dataDir)).toBe(true);
});

test("no value is in the file of the vault in the clear", async () => {
  await harness.assign([email("needle@example.com", "subject-needle")]);
  await harness.open();
  const bytes = readFileSync(join(harness.dataDir, "vault", "vault.duckdb"));
  for (const needle of ["needle@example.com", "subject-needle"]) expect(bytes.includes(needle)).toBe(false);
});

test("values are found under the hashes of vaults that exist", async () => {
  const sql = await harness.connect();
  const { h0, h1 } = Vault.hashOf("kind", "value");
  const secret = "getvariable('weir_vault')";
  const hash = (half: string): string =>
    `md5_number_${half}(concat(${secret}, kind, chr(31), value, ${secret}))`;
  await harness.vault.prepare(sql);
  const [count] = await sql.rows(`SELECT count(*)::INTEGER AS n
    FROM (SELECT 'email' AS kind, 'ann' || i || '@example.com' AS value FROM range(1000) r(i))
    WHERE ${h0} = ${hash("lower")} AND ${h1} = ${hash("upper")}`);
  expect(count).toEqual({ n: 1000 });
  sql.close();
});
