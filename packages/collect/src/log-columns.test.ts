/** Log records go the engine's fast path: SQL alone accepts them, and puts them into columns. */
import { DuckDBInstance } from "@duckdb/node-api";
import { compileProject } from "@weir/compile";
import { logContract } from "@weir/contract";
import { expect, test } from "vitest";
import { startCollector } from "./collector.fixture.ts";
import { logs } from "./log-source.ts";

const contract = logContract("app_log");
const text = (key: string, stringValue: string): object => ({ key, value: { stringValue } });
const request = {
  resourceLogs: [
    {
      resource: {
        attributes: [text("service.name", "checkout"), text("k8s.pod.name", "p-1"), text("region", "eu")],
      },
      scopeLogs: [
        {
          scope: { name: "pay", version: "1" },
          logRecords: [
            {
              timeUnixNano: "1767323045678901234",
              observedTimeUnixNano: "1767323046000000000",
              severityNumber: 9,
              severityText: "INFO",
              body: { stringValue: 'a "line"\u0000 ж' },
              attributes: [
                text("a.b", "c"),
                { key: "n", value: { intValue: "9223372036854775807" } },
                { key: "none" },
              ],
              traceId: "0af7651916cd43dd8448eb211c80319c",
              flags: 1,
            },
            { timeUnixNano: "1", body: { kvlistValue: { values: [text("k", "v")] } } },
          ],
        },
      ],
    },
  ],
};
const line =
  '{"date":1767323045.5,"log":"x","level":"warn","n":10.50,"kubernetes":{"host":"node-3","labels":{"app":"shop"}}}';

test("SQL accepts them without Ajv, and every column has its value", async () => {
  const collector = await startCollector({ sources: { web: logs({ contract }) } });
  await collector.post("/v1/logs", JSON.stringify(request), { "content-type": "application/json" });
  await collector.post("/v1/logs/ndjson", line, { "content-type": "application/x-ndjson" });
  const program = compileProject({ name: "p", sources: { s: { contracts: [contract] } }, tables: {} })
    .contracts[0]!;
  const duckdb = await (await DuckDBInstance.create(":memory:")).connect();
  await duckdb.run(`SET TimeZone = 'UTC';
    CREATE TABLE lines(_key BIGINT, seg UINTEGER, line UINTEGER, received BIGINT, contract VARCHAR, keys INTEGER, nulls INTEGER,
      error VARCHAR, text VARCHAR);
    CREATE TABLE routes(seg UINTEGER, sent VARCHAR, contract VARCHAR, reason VARCHAR);
    INSERT INTO routes VALUES (0, 'app_log', 'app_log', NULL)`);
  for (const [i, { keys, text: record }] of collector.logged().entries()) {
    await duckdb.run("INSERT INTO lines VALUES ($1, 0, $2, 1, 'app_log', $3, 0, NULL, $4)", [
      i,
      i + 1,
      keys,
      record,
    ]);
  }
  await duckdb.run(program.rows.sql);
  const columns = `_ok, time::VARCHAR AS time, severity_number, body, service, k8s_pod, k8s_node, scope, _extra,
    attributes->>'$."a.b"' AS ab, attributes->>'$.n' AS n, body_json->>'$.k' AS k, resource->>'$.region' AS region`;
  const reader = await duckdb.runAndReadAll(`SELECT ${columns} FROM rows_app_log ORDER BY _key`);
  expect(reader.getRowObjectsJson()).toEqual([
    {
      _ok: true,
      time: "2026-01-02 03:04:05.678901",
      severity_number: "9",
      body: 'a "line"\u0000 ж',
      service: "checkout",
      k8s_pod: "p-1",
      k8s_node: null,
      scope: "pay",
      _extra: null,
      ab: "c",
      n: "9223372036854775807",
      k: null,
      region: "eu",
    },
    expect.objectContaining({ _ok: true, time: "1970-01-01 00:00:00", body: null, k: "v" }) as unknown,
    expect.objectContaining({
      _ok: true,
      k8s_node: "node-3",
      service: "shop",
      severity_number: "13",
      n: "10.5",
    }) as unknown,
  ]);
});
