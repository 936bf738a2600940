import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SalesforceServer, VirtualClock } from "@weir/testkit";
import { expect, onTestFinished, test } from "vitest";
import { MemoryContext } from "../web/memory-context.fixture.ts";
import { createSalesforceCapture } from "./capture.ts";
import { type SalesforceAuth, salesforce } from "./declare.ts";

const startMs = Date.UTC(2026, 10, 1);
const hourMs = 3_600_000;
const keys = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  publicKeyEncoding: { type: "spki", format: "pem" },
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
});

async function organisation(auth: SalesforceAuth, sessionMs = 24 * hourMs) {
  const clock = new VirtualClock(startMs);
  const server = await SalesforceServer.start({
    now: () => clock.now(),
    seed: 1,
    sessionMs,
    publicKey: keys.publicKey,
  });
  onTestFinished(() => server.close());
  server.define("Account", "001", [{ name: "Name", type: "string" }]).insert({ Name: "a" });
  const stateDir = mkdtempSync(join(tmpdir(), "weir-salesforce-"));
  onTestFinished(() => rmSync(stateDir, { recursive: true, force: true }));
  const spec = salesforce({ loginUrl: server.url, auth, objects: ["Account"], compareIds: false });
  const capture = () => createSalesforceCapture(spec, { stateDir, clock, random: () => 0.5 });
  return { clock, server, capture, memory: new MemoryContext() };
}

test.each<[string, SalesforceAuth]>([
  ["client credentials", { clientId: "app", clientSecret: "secret" }],
  ["a refresh token", { clientId: "app", refreshToken: "refresh" }],
  ["a refresh token and a secret", { clientId: "app", clientSecret: "secret", refreshToken: "refresh" }],
  ["a signed token", { clientId: "app", username: "weir@acme.example", privateKey: keys.privateKey }],
])("logs in by %s", async (_, auth) => {
  const { capture, server } = await organisation(auth);
  expect(await capture().check()).toEqual([]);
  expect(server.served["services/oauth2"]).toBe(1);
});

test.each<[string, SalesforceAuth, string]>([
  [
    "a wrong secret",
    { clientId: "app", clientSecret: "wrong-secret" },
    "invalid_grant, authentication failure",
  ],
  ["a wrong refresh token", { clientId: "app", refreshToken: "wrong-token" }, "invalid_grant"],
  [
    "another user",
    { clientId: "app", username: "other@acme.example", privateKey: keys.privateKey },
    "invalid_grant",
  ],
  [
    "a key that is none",
    { clientId: "app", username: "weir@acme.example", privateKey: "wrong-key" },
    "no RSA key in PEM",
  ],
])("%s: said once, without the secret", async (_, auth, why) => {
  const { capture, clock, memory } = await organisation(auth);
  const findings = await capture().check();
  expect(findings).toMatchObject([{ severity: "error", code: "salesforce_auth_failed" }]);
  expect(findings[0]?.message).toContain(why);
  expect(JSON.stringify(findings)).not.toContain("wrong-");
  await expect(memory.run(capture(), clock, startMs)).rejects.toMatchObject({
    code: "salesforce_auth_failed",
  });
});

test("a session that ends while the source runs is begun again", async () => {
  const { capture, clock, server, memory } = await organisation(
    { clientId: "app", clientSecret: "secret" },
    hourMs,
  );
  expect(await memory.run(capture(), clock, startMs + 3.5 * hourMs)).toBe("idle");
  expect(server.served["services/oauth2"]).toBe(4);
  expect(memory.texts.filter((text) => text.includes('"Name":"a"'))).toHaveLength(1);
});

test("a session that is refused right after its login is no reason to log in for ever", async () => {
  const { capture, server } = await organisation({ clientId: "app", clientSecret: "secret" }, 0);
  expect(await capture().check()).toMatchObject([{ severity: "error", code: "salesforce_auth_failed" }]);
  expect(server.served["services/oauth2"]).toBe(2);
});
