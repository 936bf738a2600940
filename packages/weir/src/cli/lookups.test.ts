import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EventReader } from "../processes/event-reader.fixture.ts";
import { Sandbox, click, until } from "./sandbox.fixture.ts";
import type { Instance } from "./sandbox.fixture.ts";
import { lookupProject as project } from "./lookups.fixture.ts";

interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

async function get(instance: Instance, path: string, headers: Record<string, string> = {}): Promise<Reply> {
  const response = await fetch(`${instance.url}${path}`, { headers });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: text === "" ? undefined : JSON.parse(text),
  };
}

const errorOf = ({ status, body }: Reply): unknown => {
  const { code, message } = (body as { error: { code: string; message: string } }).error;
  return { status, code, message };
};

let sandbox: Sandbox;
let instance: Instance;
beforeAll(async () => {
  sandbox = new Sandbox({ "weir.config.ts": project });
  instance = await sandbox.up();
  await instance.post([
    { ...click("a", "/"), cost: "0.10" },
    { ...click("b", "/"), cost: "0.20" },
    click("c", "/é?&"),
    { ...click("d", "/"), at: "2026-01-15T12:00:00Z" },
  ]);
  await sandbox.run(["drain"]);
});
afterAll(() => sandbox.dispose());

describe("rows over HTTP", () => {
  const slash = { page: "/", n: "3", cost: "0.30" };
  const other = { page: "/é?&", n: "1", cost: null };

  test.each<[string, unknown[], boolean]>([
    ["clicks?key=/", [slash], false],
    ["clicks?key=%2F%C3%A9%3F%26&key=/&key=x", [other, slash], false],
    ["clicks?page=/", [slash], false],
    ["clicks?key.page=/", [slash], false],
    ["clicks?null=page", [], false],
    ["clicks/?key=/&columns=n,page", [{ n: "3", page: "/" }], false],
    [
      "per_hour?prefix.page=/&columns=window_start",
      [{ window_start: "2026-01-15 10:00:00" }, { window_start: "2026-01-15 12:00:00" }],
      false,
    ],
    ["per_hour?prefix.page=/&columns=n&limit=1", [{ n: "2" }], true],
    ["per_hour?page=/&window_start=2026-01-15T12:00:00Z&columns=n", [{ n: "1" }], false],
    [
      `per_hour?key=${encodeURIComponent('["/","2026-01-15T13:00:00+01:00"]')}&columns=n`,
      [{ n: "1" }],
      false,
    ],
    ["per_hour?from=2026-01-15T11:00:00Z&columns=n", [{ n: "1" }], false],
    ["runs?prefix.page=/&from=2026-01-15&to=2026-01-15T12:00:00Z&columns=records", [{ records: "2" }], false],
    ["clicked?key=c&columns=page", [{ page: "/é?&" }], false],
    ["clicks?key=/&minCommit=1", [slash], false],
  ])("GET /api/tables/%s", async (path, rows, more) => {
    const reply = await get(instance, `/api/tables/${path}`);
    expect(reply.body).toEqual({ table: path.split(/[/?]/)[0], asOf: 1, rows, more });
    expect(reply.status).toBe(200);
    expect(reply.headers.get("weir-as-of")).toBe("1");
  });

  test.each<[string, number, string, string]>([
    ["nothing?key=a", 404, "not_found", 'There is no table "nothing".'],
    [
      "clicks",
      400,
      "lookup_invalid",
      "Of clicks, the request names no rows. Its key columns are page (VARCHAR).",
    ],
    [
      "clicks?n=3",
      400,
      "lookup_invalid",
      'Of clicks, "n" is neither a parameter nor a key column. Its key columns are page (VARCHAR).',
    ],
    [
      "clicks?_=3",
      400,
      "lookup_invalid",
      'Of clicks, "_" is neither a parameter nor a key column. Its key columns are page (VARCHAR).',
    ],
    ["clicks?page=a&page=b", 400, "invalid_usage", "The parameter page is given twice."],
    [
      "clicks?key=a&limit=x",
      400,
      "invalid_usage",
      "limit must be a whole number from 0 to 9007199254740991.",
    ],
    ["clicks?key=a%00", 400, "invalid_usage", "The address has a NUL character."],
    ["cli%00cks?key=a", 400, "invalid_usage", "The address has a NUL character."],
    ["per_hour?from=noon", 400, "lookup_invalid", '"noon" is not a TIMESTAMP, which window_start is.'],
    [
      "clicks?key=a&minCommit=9&timeoutMs=5",
      504,
      "commit_not_reached",
      "Commit 9 does not show yet; the last is 1.",
    ],
    ["clicks/x/y?key=a", 404, "not_found", "There is nothing at /api/tables/clicks/x/y."],
    ["clicked/changes", 404, "not_found", "clicked is a contract; only tables can be followed."],
    [
      "clicks/changes?since=9",
      410,
      "changes_gone",
      "clicks cannot be followed from commit 9: the last commit is 1.",
    ],
    [
      "clicks/changes?since=00000000.1",
      410,
      "changes_gone",
      "clicks cannot be followed from commit 1: it was built anew at commit 0.",
    ],
    [
      "clicks/changes?since=x",
      400,
      "invalid_usage",
      "The position is none that this API gave, and no commit number.",
    ],
  ])("GET /api/tables/%s is refused", async (path, status, code, message) => {
    expect(errorOf(await get(instance, `/api/tables/${path}`))).toEqual({ status, code, message });
  });

  test("other methods are refused", async () => {
    const response = await fetch(`${instance.url}/api/tables/clicks?key=/`, { method: "POST" });
    expect(response.status).toBe(405);
  });

  test("the tag of a reply makes the same rows a 304", async () => {
    const first = await get(instance, "/api/tables/clicks?key=/");
    const tag = first.headers.get("etag") ?? "";
    expect(tag).toMatch(/^W\/"1-[\w-]{22}"$/);
    const again = await get(instance, "/api/tables/clicks?key=/", { "if-none-match": `"x", ${tag}` });
    expect([again.status, again.body, again.headers.get("etag")]).toEqual([304, undefined, tag]);
    const other = await get(instance, "/api/tables/clicks?key=x", { "if-none-match": tag });
    expect(other.status).toBe(200);
  });

  test("SQL never shows in what a NUL in the quarantine's filter is answered", async () => {
    for (const path of ["quarantine?contract=%00", "quarantine/%00", "query?sql=SELECT%001"]) {
      expect(errorOf(await get(instance, `/api/${path}`))).toEqual({
        status: 400,
        code: "invalid_usage",
        message: "The address has a NUL character.",
      });
    }
  });
});

test("a large query result is the same in pieces, and a client that leaves stops it", async () => {
  const body = JSON.stringify({
    sql: "SELECT i, repeat('x', 1000) AS t FROM range(20000) r(i)",
    maxRows: 19_999,
  });
  const reply = await fetch(`${instance.url}/api/query`, { method: "POST", body });
  expect(reply.headers.get("content-length")).toBeNull();
  const { rows, truncated, columns, commit } = (await reply.json()) as Record<string, unknown>;
  expect(columns).toEqual([
    { name: "i", type: "BIGINT" },
    { name: "t", type: "VARCHAR" },
  ]);
  expect([(rows as unknown[]).length, truncated, commit]).toEqual([19_999, true, 1]);
  expect((rows as unknown[]).at(-1)).toEqual(["19998", "x".repeat(1000)]);

  const endless = JSON.stringify({
    sql: "SELECT repeat('x', 1000) FROM range(10000000)",
    maxRows: 10_000_000,
    timeoutMs: 600_000,
  });
  const left = await new Promise<number>((resolve, reject) => {
    const sent = request(`${instance.url}/api/query`, { method: "POST" }, (response) => {
      response.once("data", () => {
        sent.destroy();
        resolve(response.statusCode ?? 0);
      });
    });
    sent.on("error", reject);
    sent.end(endless);
  });
  expect(left).toBe(200);
  const before = (await get(instance, "/api/status")).body as { process: { residentBytes: number } };
  expect(before.process.residentBytes).toBeLessThan(4e9);
});

test("an instance with readers stops at once, and its tables are looked up at once after a restart", async () => {
  const reader = new EventReader();
  const reading = reader.read(`${instance.url}/api/tables/clicks/changes`);
  await until(() => reader.events.length > 0);
  const from = performance.now();
  expect(await instance.stop("SIGTERM")).toBe(0);
  expect(performance.now() - from).toBeLessThan(9_000);
  await reading;
  instance = await sandbox.up();
  await until(async () => {
    const { lookups } = (await get(instance, "/api/status")).body as {
      lookups: { table: string; state: string }[];
    };
    return lookups.some(({ table, state }) => table === "clicks" && state === "live");
  });
});
