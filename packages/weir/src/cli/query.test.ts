import { readFileSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { totalmem } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Sandbox, click } from "./sandbox.fixture.ts";
import type { Instance } from "./sandbox.fixture.ts";

let sandbox: Sandbox;
let instance: Instance;
beforeAll(async () => {
  sandbox = new Sandbox();
  instance = await sandbox.up();
});
afterAll(() => sandbox.dispose());

test("prints a table, CSV and JSON, from an argument, a file and standard input", async () => {
  await instance.post([click("a", 'x,"y"\n')]);
  await sandbox.run(["drain"]);
  const sql = "SELECT id, page, NULL AS nothing, count(*) AS one FROM clicked GROUP BY ALL";
  expect((await sandbox.run(["query", sql])).stdout).toBe(
    'id  page     nothing  one\na   x,"y"\\n     NULL    1\n',
  );
  writeFileSync(join(sandbox.folder, "q.sql"), sql);
  expect((await sandbox.run(["query", "--csv", "-f", "q.sql"])).stdout).toBe(
    'id,page,nothing,one\na,"x,""y""\n",,1\n',
  );
  const piped = await sandbox.run(["query", "--json", "-f", "-"], { input: sql });
  expect(JSON.parse(piped.stdout)).toMatchObject({ rows: [["a", 'x,"y"\n', null, "1"]] });

  const cut = await sandbox.run(["query", "--max-rows", "2", "SELECT * FROM range(5)"]);
  expect(cut).toMatchObject({ code: 0, stderr: "Only the first 2 rows; --max-rows allows more.\n" });
  expect(cut.stdout.split("\n")).toHaveLength(4);
});

test("refuses what is not one read-only statement", async () => {
  for (const [sql, code] of [
    ["SELEC 1", "query_invalid"],
    ["SELECT * FROM nowhere", "query_invalid"],
    ["DROP VIEW clicked", "query_not_readonly"],
    ["SELECT 1; SELECT 2", "query_not_readonly"],
  ] as const) {
    expect(await sandbox.json(["query", sql])).toMatchObject({ code: 2, error: { code } });
  }
  const usage = await sandbox.json(["query"]);
  expect(usage).toMatchObject({ code: 2, error: { code: "invalid_usage" } });
  // Over HTTP, the same codes with the status of each.
  const reply = await fetch(`${instance.url}/api/query?sql=SELEC`);
  expect(reply.status).toBe(400);
  expect(await reply.json()).toMatchObject({ error: { code: "query_invalid" } });
});

test.runIf(process.platform === "linux")(
  "what queries make an engine allocate is less than what the machine has",
  () => {
    const engine = instance
      .identities()
      .find(({ pid }) => readFileSync(`/proc/${pid}/cmdline`, "utf8").endsWith("child.mjs\0engine\0"));
    const limits = readFileSync(`/proc/${engine?.pid}/limits`, "utf8");
    const bytes = Number(/^Max data size +(\d+)/m.exec(limits)?.[1]);
    const status = readFileSync(`/proc/${engine?.pid}/status`, "utf8");
    const taken = Number(/^VmData:\s+(\d+)/m.exec(status)?.[1]) * 1024;
    expect(bytes).toBeGreaterThan(taken);
    expect(bytes - taken).toBeLessThan(totalmem());
  },
);

test("pages of other sites get no answer", async () => {
  const url = `${instance.url}/api/query?sql=SELECT%201`;
  expect((await fetch(url)).status).toBe(200);
  expect((await fetch(url, { headers: { origin: instance.url ?? "" } })).status).toBe(200);
  expect((await fetch(url, { headers: { origin: "https://elsewhere.example" } })).status).toBe(403);
  expect((await fetch(url, { headers: { origin: "null" } })).status).toBe(403);
  expect((await fetch(url, { headers: { "sec-fetch-site": "same-site" } })).status).toBe(403);
  // fetch does not let anyone choose the Host, as a name server does.
  const statusFor = async (host: string): Promise<number | undefined> =>
    await new Promise((resolve, reject) => {
      get(url, { headers: { host } }, (response) => resolve(response.resume().statusCode)).on(
        "error",
        reject,
      );
    });
  expect(await statusFor("localhost:8787")).toBe(200);
  expect(await statusFor("[::1]:8787")).toBe(200);
  expect(await statusFor("rebound.example:8787")).toBe(403);
});

test("a second start on the data directory names the owner", async () => {
  const { code, error } = await sandbox.json(["up", "--port", "0"]);
  expect(code).toBe(5);
  expect(error).toMatchObject({ code: "already_running" });
  expect((error as Error).message).toContain(`process ${instance.pid} `);
  expect((await instance.post([click("a")])).status).toBe(202);
});

test("quarantine show of an id that is not there", async () => {
  expect(await sandbox.json(["quarantine", "show", "web/c0/1/1"])).toMatchObject({
    code: 1,
    error: { code: "not_found", where: "web/c0/1/1" },
  });
});
