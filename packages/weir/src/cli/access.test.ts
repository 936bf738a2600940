import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { get } from "node:http";
import { get as getTls } from "node:https";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Sandbox, click, smallProject } from "./sandbox.fixture.ts";
import type { Instance } from "./sandbox.fixture.ts";

let sandbox: Sandbox;
let instance: Instance;
beforeEach(async () => {
  sandbox = new Sandbox({ "weir.config.ts": smallProject });
  instance = await sandbox.up();
  await instance.post([click("a"), { broken: true }]);
  await sandbox.run(["drain"]);
});
afterEach(() => sandbox.dispose());

async function ask(
  path: string,
  token?: string,
  init: RequestInit = {},
): Promise<{ status: number; code: string | undefined; body: Record<string, unknown> }> {
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const response = await fetch(`${instance.url}${path}`, { ...init, headers: authorization });
  const body = (await response.json()) as Record<string, unknown>;
  return { status: response.status, code: (body["error"] as { code: string } | undefined)?.code, body };
}

async function made(name: string, role: string, more: readonly string[] = []): Promise<string> {
  const { value } = await sandbox.json(["token", "create", name, "--role", role, ...more]);
  return (value as { token: string }).token;
}

const select = `/api/query?sql=${encodeURIComponent("SELECT 1 AS one")}`;
const table = "/api/tables";

describe("what each role may ask for", () => {
  const asked: [path: string, init: RequestInit, may: string[]][] = [
    ["/api/status", {}, ["viewer", "analyst", "operator", "privacy", "admin"]],
    [table, {}, ["viewer", "analyst", "operator", "privacy", "admin"]],
    [select, {}, ["analyst", "operator", "admin"]],
    ["/api/quarantine", {}, ["operator", "privacy", "admin"]],
    ["/api/verify", {}, ["operator", "admin"]],
    ["/api/drain", { method: "POST" }, ["operator", "admin"]],
    ["/api/tasks", {}, ["viewer", "analyst", "operator", "privacy", "admin"]],
    ["/api/quarantine/reprocess", { method: "POST", body: '{"plan":true}' }, ["operator", "admin"]],
    ["/api/rebuild", { method: "POST", body: '{"table":"clicks","plan":true}' }, ["operator", "admin"]],
    ["/api/replay", { method: "POST", body: '{"from":"2026-01-01","plan":true}' }, ["operator", "admin"]],
    ["/api/trace?id=a", {}, ["analyst", "operator", "admin"]],
    ["/api/audit", {}, ["privacy", "admin"]],
    ["/api/erasures", {}, ["privacy", "admin"]],
    ["/api/audit/verify", {}, ["privacy", "admin"]],
    ["/api/tokens", {}, ["admin"]],
  ];

  test("no more and no less, and nothing without a token or with a wrong one", async () => {
    const roles = ["viewer", "analyst", "operator", "privacy", "admin"];
    const tokens = new Map<string, string>();
    for (const role of roles) tokens.set(role, await made(`of-${role}`, role));
    for (const [path, init, may] of asked) {
      expect(await ask(path, undefined, init)).toMatchObject({ status: 401, code: "token_missing" });
      expect(await ask(path, "weir_wrong", init)).toMatchObject({ status: 401, code: "token_invalid" });
      for (const role of roles) {
        const { status, code } = await ask(path, tokens.get(role), init);
        const expected = may.includes(role) ? { status: 200 } : { status: 403, code: "role_insufficient" };
        expect({ path, role, status, code }).toMatchObject({ path, role, ...expected });
      }
    }
  });
});

test("the API asks for a token from the first on, and until the last is revoked; collecting does not", async () => {
  expect((await ask(select)).status).toBe(200);
  const token = await made("ann", "analyst", ["--expires", "1d"]);
  expect((await ask(select)).code).toBe("token_missing");
  expect((await ask(select, token)).status).toBe(200);
  expect((await instance.post([click("b")])).status).toBe(202);
  expect(await sandbox.json(["query", "SELECT 1 AS one"])).toMatchObject({ code: 0 });
  // A header that only collectors set does not make a client one of this machine's own.
  const status = await new Promise((resolve, reject) => {
    const headers = { connection: "close, weir-via-collector" };
    get(`${instance.url}${select}`, { headers }, (response) => resolve(response.resume().statusCode)).on(
      "error",
      reject,
    );
  });
  expect(status).toBe(401);
  expect(await sandbox.json(["token", "list"])).toMatchObject({
    value: { tokens: [{ name: "ann", role: "analyst" }] },
  });
  expect(await sandbox.json(["token", "revoke", "ann"])).toMatchObject({ code: 0 });
  expect((await ask(select, token)).code).toBe("token_invalid");
  expect((await ask(select)).status).toBe(200);
});

test("what was sent is shown to those who may look into quarantine, and columns to the roles that the project names", async () => {
  const project = smallProject.replace(
    "tables: {",
    'access: { columns: { "*.page": ["privacy", "admin"] }, limits: { privacy: { perSecond: 0.01 } } },\n  tables: {',
  );
  await instance.stop();
  sandbox.write({ "weir.config.ts": project });
  instance = await sandbox.up();
  const rowsOf = async (sql: string, token: string): Promise<unknown> =>
    (await ask(`/api/query?sql=${encodeURIComponent(sql)}`, token)).body["rows"];
  const [analyst, operator, admin] = [
    await made("a", "analyst"),
    await made("o", "operator"),
    await made("r", "admin"),
  ];
  const viewer = await made("v", "viewer");
  const privacy = await made("p", "privacy");
  for (const token of [analyst, operator]) {
    expect(await rowsOf("SELECT text FROM quarantine", token)).toEqual([["***"]]);
    expect(await rowsOf("SELECT DISTINCT text FROM raw", token)).toEqual([["***"]]);
    expect(await rowsOf("SELECT page FROM clicked", token)).toEqual([["***"]]);
    expect((await ask("/api/query?sql=FROM+main.clicked", token)).code).toBe("query_invalid");
  }
  expect(await rowsOf("SELECT page FROM clicked", admin)).toEqual([["/"]]);
  expect(JSON.stringify(await rowsOf("SELECT text FROM raw", admin))).toContain("broken");
  expect((await ask("/api/tables/clicks?key=/", viewer)).code).toBe("column_masked");
  expect((await ask("/api/tables/clicks?key=/", admin)).status).toBe(200);
  expect((await ask("/api/tables/clicks/changes?since=0", viewer)).code).toBe("column_masked");
  expect((await ask("/api/tables/clicks?key=/", privacy)).status).toBe(200);
  const again = await fetch(`${instance.url}/api/status`, {
    headers: { authorization: `Bearer ${privacy}` },
  });
  expect([again.status, Number(again.headers.get("retry-after")) > 50]).toEqual([429, true]);
  expect((await ask("/api/status", viewer)).status).toBe(200);
});

test("HTTPS, for clients; the command needs no certificate", async () => {
  await instance.stop();
  const [key, cert] = ["key.pem", "cert.pem"].map((name) => join(sandbox.folder, name));
  const subject = [
    "-subj",
    "/CN=weir",
    "-addext",
    "subjectAltName=IP:127.0.0.1",
    "-newkey",
    "ec",
    "-pkeyopt",
  ];
  const made = ["ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key!, "-out", cert!];
  execFileSync("openssl", ["req", "-x509", ...subject, ...made], { stdio: "ignore" });
  expect(await sandbox.json(["up", "--tls-cert", cert!])).toMatchObject({
    code: 2,
    error: { code: "invalid_usage" },
  });
  expect(await sandbox.json(["up", "--tls-cert", cert!, "--tls-key", cert!])).toMatchObject({
    code: 2,
    error: { code: "tls_invalid" },
  });
  instance = await sandbox.up(["up", "--tls-cert", cert!, "--tls-key", key!]);
  expect(instance.url).toMatch(/^https:/);
  const ca = readFileSync(cert!);
  const status = await new Promise((resolve, reject) => {
    getTls(`${instance.url}${select}`, { ca, agent: false }, (response) =>
      resolve(response.resume().statusCode),
    ).on("error", reject);
  });
  expect(status).toBe(200);
  expect(await sandbox.json(["status"])).toMatchObject({ code: 0 });
});

test("an admin makes and revokes tokens over HTTP", async () => {
  const admin = await made("root", "admin");
  const init = { method: "POST", body: JSON.stringify({ name: "eve", role: "viewer" }) };
  const { status, body } = await ask("/api/tokens", admin, init);
  expect(status).toBe(200);
  expect((await ask(table, body["token"] as string)).status).toBe(200);
  expect((await ask("/api/tokens", body["token"] as string, init)).code).toBe("role_insufficient");
  expect((await ask("/api/tokens", admin, init)).code).toBe("token_exists");
  expect((await ask("/api/tokens", admin, { method: "POST", body: '{"name":"x","role":"root"}' })).code).toBe(
    "invalid_usage",
  );
  expect((await ask("/api/tokens/eve", admin, { method: "DELETE" })).status).toBe(200);
  expect((await ask(table, body["token"] as string)).code).toBe("token_invalid");
});

test("who did what is in the audit log, whoever asked, over a restart; a change of it is found", async () => {
  const token = await made("ann", "analyst");
  await ask(select, token);
  await sandbox.run(["query", "SELECT 2 AS two"]);
  await sandbox.run(["quarantine", "list"]);
  expect(await instance.stop()).toBe(0);
  await sandbox.run(["query", "SELECT 3 AS three"]);
  const { value } = await sandbox.json(["audit", "list"]);
  const entries = (
    value as { entries: { actor: string; action: string; target: string; detail: { sql?: string } }[] }
  ).entries;
  expect(entries.map(({ actor, action, target, detail }) => [actor, action, target, detail.sql])).toEqual([
    ["local", "drain", null, undefined],
    ["local", "token.create", "ann", undefined],
    ["ann", "query", null, "SELECT 1 AS one"],
    ["local", "query", null, "SELECT 2 AS two"],
    ["local", "quarantine.list", null, undefined],
    ["local", "query", null, "SELECT 3 AS three"],
    ["local", "audit.read", null, undefined],
  ]);
  expect(JSON.stringify(value)).not.toContain(token);
  expect(await sandbox.json(["audit", "verify"])).toMatchObject({ code: 0, value: { ok: true, entries: 7 } });
  const folder = join(sandbox.dataDir, "govern", "audit");
  const path = join(folder, readdirSync(folder)[0]!);
  writeFileSync(path, readFileSync(path, "utf8").replace("SELECT 1", "SELECT 9"));
  expect(await sandbox.json(["audit", "verify"])).toMatchObject({
    code: 1,
    value: { ok: false, problem: "the entry at number 3 was changed" },
  });
});
