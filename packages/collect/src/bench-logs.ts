import { protoField } from "./protobuf.ts";

/** How log records are sent. */
export type LogEncoding = "otlp_json" | "otlp_protobuf" | "log_lines";

interface LogRequest {
  readonly path: string;
  readonly type: string;
  readonly body: Buffer;
}

const pod = "checkout-7d9f6b5c8d-abcde";
const resource = {
  "service.name": "checkout",
  "service.version": "1.42.0",
  "k8s.cluster.name": "eu-1",
  "k8s.namespace.name": "shop",
  "k8s.pod.name": pod,
  "k8s.container.name": "app",
  "k8s.node.name": "node-3",
  "cloud.region": "eu-central-1",
};
const line = (i: number): string =>
  `10.1.${i % 250}.7 - - "POST /api/v2/carts/${i % 9000}/items HTTP/1.1" 201 ${1000 + (i % 900)} "https://shop.example.com/p/${i}" ` +
  `"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36" rt=0.0${i % 90} order=ord_${i} attempt=1`;
const attributes = (i: number): Record<string, string> => ({
  "http.route": "/api/v2/carts/:cart/items",
  "http.method": "POST",
  "order.id": `ord_${i}`,
  thread: `worker-${i % 16}`,
});
const nanoseconds = (i: number): bigint => 1_767_323_045_000_000_000n + BigInt(i) * 12_345n;

/** A request with one log record for each number. */
export function logRequest(encoding: LogEncoding, numbers: readonly number[]): LogRequest {
  if (encoding === "otlp_protobuf") {
    return { path: "/v1/logs", type: "application/x-protobuf", body: protobufRequest(numbers) };
  }
  if (encoding === "otlp_json") {
    return {
      path: "/v1/logs",
      type: "application/json",
      body: Buffer.from(JSON.stringify(jsonRequest(numbers))),
    };
  }
  const lines = numbers.map((i) => JSON.stringify(fluentBitLine(i)));
  return { path: "/v1/logs/ndjson", type: "application/x-ndjson", body: Buffer.from(lines.join("\n")) };
}

const keyValues = (values: Record<string, string>): object[] =>
  Object.entries(values).map(([key, stringValue]) => ({ key, value: { stringValue } }));

function jsonRequest(numbers: readonly number[]): object {
  const logRecords = numbers.map((i) => ({
    timeUnixNano: String(nanoseconds(i)),
    observedTimeUnixNano: String(nanoseconds(i)),
    severityNumber: 9,
    severityText: "INFO",
    body: { stringValue: line(i) },
    attributes: keyValues(attributes(i)),
  }));
  const scopeLogs = [{ scope: { name: "access" }, logRecords }];
  return { resourceLogs: [{ resource: { attributes: keyValues(resource) }, scopeLogs }] };
}

function fluentBitLine(i: number): object {
  return {
    date: Number(nanoseconds(i) / 1000n) / 1e6,
    log: line(i),
    level: "info",
    stream: "stdout",
    ...attributes(i),
    kubernetes: {
      pod_name: pod,
      namespace_name: "shop",
      container_name: "app",
      host: "node-3",
      labels: { app: "checkout", "pod-template-hash": "7d9f6b5c8d" },
    },
  };
}

const text = (field: number, value: string): Buffer => protoField(field, Buffer.from(value));
const keyValue = (field: number, key: string, value: string): Buffer =>
  protoField(field, Buffer.concat([text(1, key), protoField(2, text(1, value))]));

function protobufRequest(numbers: readonly number[]): Buffer {
  const records = numbers.map((i) => {
    const time = Buffer.alloc(9);
    time[0] = 9;
    time.writeBigUInt64LE(nanoseconds(i), 1);
    const fields = Object.entries(attributes(i)).map(([key, value]) => keyValue(6, key, value));
    return protoField(
      2,
      Buffer.concat([
        time,
        Buffer.from([16, 9]),
        text(3, "INFO"),
        protoField(5, text(1, line(i))),
        ...fields,
      ]),
    );
  });
  const scopeLogs = Buffer.concat([protoField(1, text(1, "access")), ...records]);
  const resources = Object.entries(resource).map(([key, value]) => keyValue(1, key, value));
  return protoField(1, Buffer.concat([protoField(1, Buffer.concat(resources)), protoField(2, scopeLogs)]));
}
