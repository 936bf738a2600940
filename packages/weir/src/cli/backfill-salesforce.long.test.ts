/** A past interval of Salesforce through the command: beside live capture, whatever it is killed at, and within the quota of both. */
import { SalesforceServer } from "@weir/testkit";
import type { StandObject } from "@weir/testkit";
import { afterEach, expect, onTestFinished, test } from "vitest";
import { readBackfills } from "../backfill/state.ts";
import { Sandbox, until } from "./sandbox.fixture.ts";
import type { Instance } from "./sandbox.fixture.ts";

let sandbox: Sandbox;
afterEach(() => sandbox.dispose());

const hourMs = 3_600_000;

/** An organisation with rows of twelve hours ago and of now, and a project that captures it. */
async function organisation(dailyRequests: number, every: string) {
  let agoMs = 12 * hourMs;
  const server = await SalesforceServer.start({
    now: () => Date.now() - agoMs,
    seed: 1,
    pageRows: 2,
    dailyRequests,
    sessionMs: 48 * hourMs,
  });
  onTestFinished(() => server.close());
  const account = server.define("Account", "001", [
    { name: "Name", type: "string", length: 80 },
    { name: "Rank__c", type: "string", length: 80, calculated: true },
  ]);
  account.formulas.set("Rank__c", () => "old");
  for (let i = 0; i < 60; i++) account.insert({ Name: `n${i}` });
  agoMs = 0;
  account.insert({ Name: "of now" });
  sandbox = new Sandbox({
    "weir.config.ts": `
import { Type, defineProject, entity, salesforce } from "weir";
export default defineProject({
  name: "crm",
  sources: {
    crm: salesforce({
      loginUrl: "${server.url}", auth: { clientId: "app", clientSecret: "secret" },
      objects: ["Account"], mode: "rest", every: "${every}", settleLag: "1s", quotaShare: 0.5,
    }),
  },
  tables: { accounts: entity({ from: "crm.Account", key: ["Id"], columns: { Name: Type.String(), Rank__c: Type.String() } }) },
});
`,
  });
  const at = (ms: number): string => new Date(Date.now() - ms).toISOString();
  const command = ["backfill", "crm", "--from", at(24 * hourMs), "--to", at(2 * hourMs)];
  return { server, account, command };
}

const rowsOf = (account: StandObject): unknown[][] =>
  account.ids
    .filter((id) => !account.isDeleted(id))
    .map((id) => account.seen(id)?.values)
    .map((values) => [values?.["Id"], values?.["Name"], values?.["Rank__c"]] as unknown[])
    .toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1));
async function captured({ url }: Instance): Promise<unknown[][]> {
  const sql = "SELECT Id, Name, Rank__c FROM accounts ORDER BY Id";
  const reply = await fetch(`${url}/api/query?sql=${encodeURIComponent(sql)}`);
  return ((await reply.json()) as { rows: unknown[][] }).rows;
}

test("a formula that changed, and what live capture brings meanwhile, killed at each step: the entity has what the organisation has", async () => {
  const { account, command } = await organisation(100_000, "1s");
  const instance = await sandbox.up();
  await until(async () => (await captured(instance)).length === 61);
  // No stamp changes, so that live capture never reads it again.
  account.formulas.set("Rank__c", () => "new");
  expect(await sandbox.json([...command, "--plan"])).toMatchObject({
    code: 0,
    value: { unit: "objects", parts: 1, found: [{ name: "Account", rows: 60 }], before: null },
  });
  expect(readBackfills(sandbox.dataDir)).toEqual([]);
  for (const step of ["capture.append.durable:3", "backfill.part.done:1"]) {
    const killed = await sandbox.run(command, { env: { WEIR_FAILPOINT: step } });
    expect(killed.code, killed.stderr).toBe(null);
    const [first = "", second = ""] = account.ids;
    account.update(step.startsWith("capture") ? first : second, { Name: `changed at ${step}` });
  }
  expect(await sandbox.json(command)).toMatchObject({ code: 0, value: { state: "done", partsDone: 1 } });
  account.remove(account.ids[2] ?? "");
  await until(async () => JSON.stringify(await withoutNow(instance)) === JSON.stringify(expected(account)));
  expect(await sandbox.json(command)).toMatchObject({ code: 0, value: { state: "done", rows: 0 } });
  const status = (await sandbox.json(["status"])).value as { counts: { quarantined: number }[] };
  expect(status.counts.every(({ quarantined }) => quarantined === 0)).toBe(true);
  expect((await sandbox.run(["verify"])).code).toBe(0);
  expect(await instance.stop()).toBe(0);
});

/** The row of now is not in the interval: its formula is as it was. */
const withoutNow = async (instance: Instance): Promise<unknown[][]> =>
  (await captured(instance)).filter(([, name]) => name !== "of now");
const expected = (account: StandObject): unknown[][] =>
  rowsOf(account).filter(([, name]) => name !== "of now");

test("beside live capture it waits at its share of the source's requests, and both keep to the source's", async () => {
  // The source may send 200 requests, of which a quarter is for backfills. Its rows take 31.
  const { server, command } = await organisation(400, "1s");
  const instance = await sandbox.up();
  await until(async () => (await captured(instance)).length === 61);
  expect(await sandbox.json(command)).toMatchObject({ code: 0, value: { state: "done", rows: 60 } });
  // Another one, for which not enough is left.
  const [, source = "", , from = "", , to = ""] = command;
  const other = sandbox.json([
    "backfill",
    source,
    "--from",
    from,
    "--to",
    new Date(Date.parse(to) - hourMs).toISOString(),
  ]);
  await until(() => {
    const { quotaOwn } = statusOf(instance.file());
    return server.requests > 150 && quotaOwn !== undefined;
  });
  await until(() => {
    const { quota } = statusOf(instance.file());
    return quota === "slow" || quota === "stopped";
  });
  const running = readBackfills(sandbox.dataDir).find(({ state }) => state === "running");
  expect(running?.partsDone).toBe(0);
  await sandbox.run(["backfill", "--cancel", running?.id ?? ""]);
  expect(await other).toMatchObject({ code: 1, value: { state: "cancelled" } });
  // Logins are no requests of the API.
  expect(server.requests).toBeLessThanOrEqual(200 + 5);
  expect(await instance.stop()).toBe(0);
});

const statusOf = (file: {
  processes: readonly { name: string; status?: object }[];
}): { quota?: string; quotaOwn?: number } =>
  file.processes.find(({ name }) => name === "capture-crm")?.status ?? {};
