/** Batches of more records than an appender holds, of which each goes through JavaScript: none is left out. */
import { compileProject } from "@weir/compile";
import type { Program } from "@weir/compile";
import { Type, changeContract, changeText, contract, pii, subject, timestamp } from "@weir/contract";
import { afterEach, expect, test } from "vitest";
import { Harness } from "./harness.fixture.ts";
import type { LogRecord } from "./harness.fixture.ts";

const many = 250_000;
let harness: Harness;
afterEach(() => harness.end());

const at = "2026-01-01T00:00:00Z";
function project(isTagged: boolean): Program {
  const Seen = contract("seen", {
    version: "1.0.0",
    owner: "test",
    id: "id",
    time: "at",
    fields: Type.Object({
      id: Type.String(),
      at: timestamp(),
      amount: Type.Integer({ maximum: 10 }),
      note: Type.Optional(Type.String()),
      ...(isTagged ? { who: Type.Optional(subject(Type.Integer())), email: Type.Optional(pii.email()) } : {}),
    }),
  });
  const changes = changeContract("db", { people: { email: "email" } });
  return compileProject({
    name: "many",
    sources: { web: { contracts: [Seen] }, ...(isTagged ? { db: { contracts: [changes] } } : {}) },
    tables: {},
  });
}

/** All in one batch. */
async function loaded(program: Program, record: (n: number) => LogRecord): Promise<void> {
  harness = new Harness({ settings: { memoryLimit: "1GB", commitAge: "5s" } });
  await harness.open(program);
  for (let from = 0; from < many; from += 50_000)
    await harness.append(Array.from({ length: 50_000 }, (_, i) => record(from + i)));
  await harness.seal();
  await harness.drain();
  expect(await harness.rows("SELECT max(records)::INTEGER FROM weir.commits")).toEqual([[many]]);
  expect((await harness.engine.verify()).checks.filter(({ ok }) => !ok)).toEqual([]);
}
const seen = (n: number, more: object): LogRecord => ({
  source: "web",
  sent: "seen",
  text: JSON.stringify({ id: `s${n}`, at, ...more }),
});
const count = async (sql: string): Promise<unknown> =>
  (await harness.rows(`SELECT count(*)::INTEGER FROM ${sql}`))[0]?.[0];

test.each([false, true])("all of them fail; sealed: %s", async (isTagged) => {
  await loaded(project(isTagged), (n) => seen(n, { amount: 11 }));
  expect(await count("quarantine WHERE reason = 'contract_violation'")).toBe(many);
  expect(await count("quarantine WHERE starts_with(text, 'sealed:')")).toBe(isTagged ? many : 0);
});

test("persons, and addresses in free text", async () => {
  await loaded(project(true), (n) =>
    seen(n, { amount: 1, who: n, email: `p${n}@x.org`, note: `ask p${n}@x.org` }),
  );
  expect(await count("seen WHERE note = 'ask [email]' AND starts_with(email, 'tok_email_')")).toBe(many);
  expect(await count("raw WHERE contains(text, '@x.org')")).toBe(0);
  const tokens = (await harness.rows("SELECT email FROM seen ORDER BY hash(email) LIMIT 500"))
    .flat()
    .map(String);
  const revealed = await harness.engine.vault?.reveal(tokens);
  expect(revealed?.size).toBe(500);
});

test("captured rows", async () => {
  await loaded(project(true), (n) => {
    const { text } = changeText({
      id: `${n}/1`,
      at,
      stream: "people",
      op: "snapshot",
      key: `["${n}"]`,
      version: "1",
      row: { id: String(n), email: `p${n}@x.org` },
    });
    return { source: "db", sent: "db", text };
  });
  expect(await count(`db WHERE contains("row"::VARCHAR, 'tok_email_')`)).toBe(many);
  expect(await count(`db WHERE contains("row"::VARCHAR, '@x.org')`)).toBe(0);
});
