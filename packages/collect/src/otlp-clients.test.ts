/** OpenTelemetry's own SDK and exporters, as they come from npm, against a real collector. */
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { SeverityNumber } from "@opentelemetry/api-logs";
import { OTLPLogExporter as JsonExporter } from "@opentelemetry/exporter-logs-otlp-http";
import { OTLPLogExporter as ProtobufExporter } from "@opentelemetry/exporter-logs-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { logContract } from "@weir/contract";
import { expect, onTestFinished, test } from "vitest";
import { startCollector } from "./collector.fixture.ts";
import { logs } from "./log-source.ts";
import { http } from "./source.ts";

const key = "the-write-key";
const shop = async () =>
  startCollector({
    sources: {
      app: logs({ contract: logContract("app_logs"), writeKeys: [key] }),
      web: http({ contracts: [], writeKeys: ["another"] }),
    },
  });

const exporters = {
  "@opentelemetry/exporter-logs-otlp-http": JsonExporter,
  "@opentelemetry/exporter-logs-otlp-proto": ProtobufExporter,
};
type Name = keyof typeof exporters;
type Options = ConstructorParameters<typeof JsonExporter>[0];

function provider(name: Name, options: Options): LoggerProvider {
  return new LoggerProvider({
    resource: resourceFromAttributes({
      "service.name": "checkout",
      "k8s.namespace.name": "shop",
      "k8s.pod.name": "checkout-7d9f",
      "process.pid": 42,
    }),
    processors: [new BatchLogRecordProcessor({ exporter: new exporters[name](options) })],
  });
}

test.each(["none", "gzip"] as const)(
  "both exporters, compression %s: every line is in the log, the same",
  async (compression) => {
    const collector = await shop();
    const logged: string[][] = [];
    for (const name of Object.keys(exporters) as Name[]) {
      const before = collector.logged("app").length;
      const sdk = provider(name, {
        url: `${collector.url}/v1/logs`,
        headers: { authorization: `Bearer ${key}` },
        compression: compression as never,
      });
      const logger = sdk.getLogger("payments", "1.0.0");
      for (let i = 0; i < 1000; i++) {
        logger.emit({
          timestamp: [1_767_323_045, i * 1000],
          observedTimestamp: [1_767_323_046, 0],
          severityNumber: SeverityNumber.WARN,
          severityText: "WARN",
          body: i % 2 === 0 ? `line ${i}: ж` : { step: i, ok: true },
          attributes: { "order.id": `o-${i}`, amount: 12.5, tags: ["a", "b"], n: i },
          eventName: "paid",
        });
      }
      await sdk.shutdown();
      const lines = collector.logged("app").slice(before);
      expect(lines.map(({ error }) => error).filter(Boolean)).toEqual([]);
      logged.push(lines.map(({ text }) => text).sort());
    }
    expect(logged[0]).toHaveLength(1000);
    expect(logged[1]).toEqual(logged[0]);
    expect(JSON.parse(logged[0]!.find((text) => text.includes('o-2"'))!)).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
      time: "2026-01-02T03:04:05.000002Z",
      observed_time: "2026-01-02T03:04:06Z",
      severity_number: 13,
      severity_text: "WARN",
      body: "line 2: ж",
      event_name: "paid",
      service: "checkout",
      k8s_namespace: "shop",
      k8s_pod: "checkout-7d9f",
      resource: { "process.pid": 42 },
      scope: "payments",
      scope_version: "1.0.0",
      attributes: { "order.id": "o-2", amount: 12.5, tags: ["a", "b"], n: 2 },
    });
  },
);

test.each(Object.keys(exporters) as Name[])(
  "%s sends again what was not answered: the same ids",
  async (name) => {
    const collector = await shop();
    let calls = 0;
    // A proxy that loses the collector's first answer: the records are durable, and the client does not know.
    const proxy = createServer((request, response) => {
      void (async () => {
        const body = Buffer.concat(await request.toArray());
        const headers = { "content-type": request.headers["content-type"]!, authorization: `Bearer ${key}` };
        const answer = await fetch(`${collector.url}/v1/logs`, { method: "POST", headers, body });
        if (++calls === 1) response.writeHead(503, { "retry-after": "0" }).end();
        else response.writeHead(answer.status).end(Buffer.from(await answer.arrayBuffer()));
      })();
    }).listen(0, "127.0.0.1");
    onTestFinished(() => void proxy.close());
    await once(proxy, "listening");
    const sdk = provider(name, { url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/v1/logs` });
    const logger = sdk.getLogger("payments");
    const line = { timestamp: 1_767_323_045_000, observedTimestamp: 1_767_323_045_000, body: "the same" };
    for (let i = 0; i < 3; i++) logger.emit(line);
    await sdk.shutdown();
    const ids = collector.logged("app").map(({ text }) => (JSON.parse(text) as { id: string }).id);
    expect(calls).toBe(2);
    expect(ids).toHaveLength(6);
    expect(new Set(ids).size).toBe(3);
    expect(ids.slice(0, 3)).toEqual(ids.slice(3));
  },
);

test("a key of another source, or none, is refused", async () => {
  const collector = await shop();
  for (const headers of [{}, { authorization: "Bearer another" }, { authorization: "Bearer wrong" }]) {
    const { status, body } = await collector.post("/v1/logs", "{}", {
      "content-type": "application/json",
      ...headers,
    });
    expect([status, body["message"]]).toEqual([401, expect.stringMatching(/^invalid_write_key: /)]);
  }
  const wrong = await collector.post("/v1/events", '{"a":1}', { "x-write-key": key });
  expect([wrong.status, wrong.body["code"]]).toEqual([401, "invalid_write_key"]);
});
