import { afterEach, beforeEach, expect, test } from "vitest";
import { Sandbox } from "./sandbox.fixture.ts";
import type { Instance } from "./sandbox.fixture.ts";

const project = `
import { Type, contract, defineProject, http, pii, subject, timestamp } from "weir";

const Signup = contract("signup", {
  version: "1.0.0", owner: "tests", id: "id", time: "at",
  fields: Type.Object({ id: Type.String(), at: timestamp(), user: subject(), email: pii.email({ format: "email" }) }),
});

export default defineProject({ name: "vault", sources: { web: http({ contracts: [Signup] }) } });
`;

let sandbox: Sandbox;
let instance: Instance;
beforeEach(async () => {
  sandbox = new Sandbox({ "weir.config.ts": project });
  instance = await sandbox.up();
  const at = "2026-01-01T00:00:00Z";
  await instance.post([
    { type: "signup", id: "1", at, user: "u1", email: "ann@example.com" },
    { type: "signup", id: "2", at, user: "u2", email: "needle" },
  ]);
  await sandbox.run(["drain"]);
});
afterEach(() => sandbox.dispose());

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

async function ask(path: string, token: string, body?: unknown): Promise<Answer> {
  const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(`${instance.url}${path}`, {
    ...init,
    headers: { authorization: `Bearer ${token}` },
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const ofRole = async (role: string): Promise<string> => {
  const { value } = await sandbox.json(["token", "create", `of-${role}`, "--role", role]);
  return (value as { token: string }).token;
};

test("tokens are revealed to privacy and admin alone, with a reason, and recorded; sealed records are shown to them", async () => {
  const plan = await sandbox.json(["plan"]);
  expect(plan.value).toMatchObject({
    personal: [
      { contract: "signup", column: "user", tag: "subject" },
      { contract: "signup", column: "email", tag: "email" },
    ],
  });
  const { value } = await sandbox.json(["query", "SELECT email FROM signup"]);
  const [[email]] = (value as { rows: [[string]] }).rows;
  expect(email).toMatch(/^tok_email_/);
  const reveal = ["vault", "reveal", email, "--reason", "ticket 7"];
  expect(await sandbox.json(reveal)).toMatchObject({
    code: 0,
    value: { values: [{ token: email, value: "ann@example.com" }] },
  });
  expect(await sandbox.json([...reveal, "tok_email_AAAAAAAAAAAAAAAAAAAAAA"])).toMatchObject({ code: 1 });
  expect((await sandbox.run(["vault", "reveal", email])).code).toBe(2);

  const listed = await sandbox.json(["quarantine", "list"]);
  const [{ id }] = (listed.value as { records: [{ id: string }] }).records;
  expect(JSON.stringify(listed.value)).not.toContain("needle");
  const shown = await sandbox.json(["quarantine", "show", id]);
  expect(shown.value).toMatchObject({
    text: expect.stringContaining('"email":"needle"') as string,
    violations: [{ pointer: "/email", found: '"needle"' }],
  });

  const path = `/api/quarantine/${encodeURIComponent(id)}`;
  for (const [role, may] of [
    ["analyst", false],
    ["operator", false],
    ["privacy", true],
    ["admin", true],
  ] as const) {
    const token = await ofRole(role);
    const answer = await ask("/api/vault/reveal", token, { tokens: [email], reason: "ticket 8" });
    expect([role, answer.status]).toEqual([role, may ? 200 : 403]);
    if (may) expect(answer.body).toEqual({ values: [{ token: email, value: "ann@example.com" }] });
    if (may) expect((await ask("/api/vault/reveal", token, { tokens: [email] })).status).toBe(400);
    const record = await ask(path, token);
    expect([role, JSON.stringify(record.body).includes("needle")]).toEqual([role, may]);
  }
  const { value: audit } = await sandbox.json(["audit", "list"]);
  const { entries } = audit as {
    entries: { actor: string; action: string; target: string; detail: object }[];
  };
  expect(
    entries
      .filter(({ action }) => action === "vault.reveal")
      .map(({ actor, target, detail }) => [actor, target, detail]),
  ).toEqual([
    ["local", email, { reason: "ticket 7", tokens: 1 }],
    ["local", `${email} tok_email_AAAAAAAAAAAAAAAAAAAAAA`, { reason: "ticket 7", tokens: 2 }],
    ["of-privacy", email, { reason: "ticket 8", tokens: 1 }],
    ["of-admin", email, { reason: "ticket 8", tokens: 1 }],
  ]);
  expect(JSON.stringify(audit)).not.toContain("ann@example.com");
  expect((await sandbox.json(["verify"])).code).toBe(0);
});
