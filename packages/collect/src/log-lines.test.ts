import { logContract, validator } from "@weir/contract";
import { expect, test } from "vitest";
import { type TestCollector, productViewed, startCollector } from "./collector.fixture.ts";
import { logs } from "./log-source.ts";
import { http } from "./source.ts";

const ndjson = { "content-type": "application/x-ndjson" };
const validate = validator(logContract("logs"));
const start = async (): Promise<TestCollector> => startCollector({ sources: { web: logs() } });

const parsed = (collector: TestCollector): Record<string, unknown>[] =>
  collector.logged().map(({ error, text, keys, nulls }) => {
    const value = JSON.parse(text) as Record<string, unknown>;
    expect({ error, keys, nulls }).toEqual({ error: "", keys: Object.keys(value).length, nulls: 0 });
    return value;
  });

/** What Fluent Bit 3 sends with `format json_lines` for a container's line and its Kubernetes filter. */
const fluentBit = {
  date: 1767323045.678901,
  log: "payment failed: Größe\n",
  stream: "stderr",
  level: "ERROR",
  trace_id: "0af7651916cd43dd8448eb211c80319c",
  kubernetes: {
    pod_name: "checkout-7d9f-abcde",
    namespace_name: "shop",
    pod_id: "5f2c",
    labels: { app: "checkout", "app.kubernetes.io/name": "checkout-service" },
    host: "node-3",
    container_name: "app",
    container_image: "registry/checkout:1.2.3",
  },
};

test("a line of Fluent Bit with its Kubernetes filter", async () => {
  const collector = await start();
  const line = JSON.stringify(fluentBit);
  const { status, body } = await collector.post("/v1/logs/ndjson", `${line}\n${line}\n`, ndjson);
  expect([status, body["accepted"]]).toEqual([202, 2]);
  const [one, two] = parsed(collector);
  expect(one).toEqual({
    id: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
    time: "2026-01-02T03:04:05.678901Z",
    body: "payment failed: Größe\n",
    severity_number: 17,
    severity_text: "ERROR",
    trace_id: "0af7651916cd43dd8448eb211c80319c",
    k8s_namespace: "shop",
    k8s_pod: "checkout-7d9f-abcde",
    k8s_container: "app",
    k8s_node: "node-3",
    service: "checkout-service",
    resource: {
      kubernetes: {
        pod_id: "5f2c",
        labels: fluentBit.kubernetes.labels,
        container_image: "registry/checkout:1.2.3",
      },
    },
    attributes: { stream: "stderr" },
  });
  expect(validate(one)).toEqual([]);
  expect({ ...two, id: "" }).toEqual({ ...one, id: "" });
  expect(two!["id"]).toBe(`${one!["id"] as string}-1`);
});

test.each<[line: string, expected: object]>([
  [
    '{"date":"2026-01-02T03:04:05.123456Z","message":"m"}',
    { time: "2026-01-02T03:04:05.123456Z", body: "m" },
  ],
  ['{"date":"2026-01-02 03:04:05.123456","msg":"m"}', { time: "2026-01-02T03:04:05.123456Z", body: "m" }],
  ['{"@timestamp":"2026-01-02T03:04:05+0100","log":""}', { time: "2026-01-02T03:04:05+01:00", body: "" }],
  ['{"date":1767323045}', { time: "2026-01-02T03:04:05Z" }],
  ['{"date":1767323045678}', { time: "2026-01-02T03:04:05.678Z" }],
  ['{"ts":1767323045678901}', { time: "2026-01-02T03:04:05.678901Z" }],
  ['{"ts":"1767323045678901234"}', { time: "2026-01-02T03:04:05.678901234Z" }],
  ['{"date":1.5,"time":"noon"}', { time: "1970-01-01T00:00:01.500Z", attributes: { time: "noon" } }],
  ['{"level":30,"msg":"pino"}', { severity_number: 9, severity_text: "30", body: "pino" }],
  [
    '{"level":3,"severity":"Warning"}',
    { severity_number: 13, severity_text: "Warning", attributes: { level: 3 } },
  ],
  ['{"severity_number":18,"level":"hot"}', { severity_number: 18, severity_text: "hot" }],
  ['{"log":{"a":[1,2]},"message":"kept"}', { body_json: { a: [1, 2] }, attributes: { message: "kept" } }],
  [
    '{"service.name":"s","k8s.pod.name":"p","host":{"name":"h"}}',
    { service: "s", k8s_pod: "p", attributes: { host: { name: "h" } } },
  ],
  [
    '{"k8s_node":"n","kubernetes":{"host":"other"}}',
    { k8s_node: "n", resource: { kubernetes: { host: "other" } } },
  ],
  [
    '{"id":"mine","attributes":{"a":1},"n":null}',
    { attributes: { id: "mine", attributes: { a: 1 }, n: null } },
  ],
  ["{}", {}],
])("%s", async (line, expected) => {
  const collector = await start();
  await collector.post("/v1/logs/ndjson", line, ndjson);
  expect(parsed(collector)).toEqual([{ id: expect.stringMatching(/^[0-9a-f]{32}$/) as string, ...expected }]);
});

test("values keep their digits; a broken line costs itself; an array will do", async () => {
  const collector = await start();
  const answer = await collector.post(
    "/v1/logs/ndjson",
    '{"n":10.50,"big":123456789012345678901}\n{"a":\n\n{"log":"\\ud83d"}\n{"log":"b"}',
    ndjson,
  );
  expect(answer.body).toMatchObject({ received: 4, accepted: 2, unreadable: 2 });
  await collector.post("/v1/logs/ndjson", '[{"log":"c"}]', { "content-type": "application/json" });
  const logged = collector.logged();
  expect(logged[0]!.text).toContain('"attributes":{"n":10.50,"big":123456789012345678901}');
  expect(
    logged.slice(1).map(({ error, text }) => [error.replace(/:.*/, ""), text.replace(/"id":"[^"]*",/, "")]),
  ).toEqual([
    ["invalid_json", '{"a":'],
    ["lone_surrogate", '{"log":"\\ud83d"}'],
    ["", '{"body":"b"}'],
    ["", '{"body":"c"}'],
  ]);
});

test("a request that is sent again has the same ids", async () => {
  const collector = await start();
  const body = '{"date":1,"log":"a"}\n{"date":1,"log":"a"}\n{"date":1,"log":"b"}';
  for (let i = 0; i < 2; i++) await collector.post("/v1/logs/ndjson", body, ndjson);
  const ids = parsed(collector).map(({ id }) => id);
  expect(ids.slice(0, 3)).toEqual(ids.slice(3));
  expect(new Set(ids).size).toBe(3);
});

test("without keys, sources of both kinds are told apart by the address", async () => {
  const collector = await startCollector({
    sources: { web: http({ contracts: [productViewed] }), app: logs() },
  });
  await collector.post("/v1/events", "{}", { "content-type": "application/json" });
  await collector.post("/v1/logs/ndjson", "{}", ndjson);
  expect([collector.logged("web").length, collector.logged("app").length]).toEqual([1, 1]);
  const two = startCollector({ sources: { app: logs(), other: logs() } });
  await expect(two).rejects.toMatchObject({ code: "invalid_source" });
});

test("a contract of another shape is refused", () => {
  expect(() => logs({ contract: productViewed })).toThrow(
    expect.objectContaining({ code: "invalid_source" }),
  );
});
