import { contract } from "./contract.ts";
import type { Contract } from "./contract.ts";
import type { Duration } from "./duration.ts";
import { Type, timestamp } from "./fields.ts";
import type { Static } from "./fields.ts";
import type { TOptional, TString } from "typebox";

/** Any JSON object. No further schema, so that the engine's fast path takes it. */
const object = Type.Unsafe<Readonly<Record<string, unknown>>>({});
const text = (description: string): TOptional<TString> => Type.Optional(Type.String({ description }));

/**
 * The fields of a log record: the data model of OpenTelemetry (Logs Data Model, stable), with the resource attributes that
 * people filter by as columns of their own. Attributes with a column are in it alone and not in `attributes` or `resource`.
 */
const fields = Type.Object({
  id: Type.String({ minLength: 1, description: "Hash of the content, or the record's log.record.uid" }),
  time: timestamp({
    description: "When it happened; when it was first seen, if that is all the source says",
  }),
  observed_time: Type.Optional(timestamp({ description: "When it was first seen by a collector or an SDK" })),
  severity_number: Type.Optional(
    Type.Integer({ description: "1 to 24: TRACE 1, DEBUG 5, INFO 9, WARN 13, ERROR 17, FATAL 21" }),
  ),
  severity_text: text("The severity as the source calls it"),
  body: text("The line, if it is a text"),
  body_json: Type.Optional(Type.Unsafe<unknown>({ description: "The body, if it is no text" })),
  event_name: text("OpenTelemetry's EventName"),
  trace_id: text("32 hexadecimal digits"),
  span_id: text("16 hexadecimal digits"),
  trace_flags: Type.Optional(Type.Integer()),
  service: text("service.name"),
  service_namespace: text("service.namespace"),
  service_version: text("service.version"),
  service_instance: text("service.instance.id"),
  environment: text("deployment.environment.name, or deployment.environment"),
  host: text("host.name"),
  k8s_cluster: text("k8s.cluster.name"),
  k8s_namespace: text("k8s.namespace.name"),
  k8s_node: text("k8s.node.name"),
  k8s_deployment: text("k8s.deployment.name"),
  k8s_pod: text("k8s.pod.name"),
  k8s_container: text("k8s.container.name"),
  scope: text("Name of the instrumentation scope: the logger"),
  scope_version: text("Version of the instrumentation scope"),
  attributes: Type.Optional(object),
  resource: Type.Optional(object),
  scope_attributes: Type.Optional(object),
  dropped_attributes: Type.Optional(Type.Integer({ description: "Attributes that the source left out" })),
  schema_url: text("The schema of the record's attributes"),
});

export type LogRecord = Static<typeof fields>;

export interface LogContractOptions {
  /** Default: the contract's name. */
  readonly owner?: string;
  /** How late records may come and still be expected; default "24h". */
  readonly lateness?: Duration;
}

/**
 * The contract of log records, as OTLP and Fluent Bit send them to a source of kind `logs`.
 *
 * @throws WeirError `contract_invalid` for a name that is none
 */
export function logContract(name: string, options: LogContractOptions = {}): Contract<LogRecord> {
  const { owner = name, lateness = "24h" } = options;
  return contract(name, {
    version: "1.0.0",
    owner,
    description: "Log records: OpenTelemetry's data model with Kubernetes columns",
    id: "id",
    key: "service",
    time: "time",
    lateness,
    fields,
  });
}

/** Resource attributes that are columns; of two names of one column the first that is there counts. */
export const logResourceColumns: readonly (readonly [attribute: string, column: keyof LogRecord])[] = [
  ["service.name", "service"],
  ["service.namespace", "service_namespace"],
  ["service.version", "service_version"],
  ["service.instance.id", "service_instance"],
  ["deployment.environment.name", "environment"],
  ["deployment.environment", "environment"],
  ["host.name", "host"],
  ["k8s.cluster.name", "k8s_cluster"],
  ["k8s.namespace.name", "k8s_namespace"],
  ["k8s.node.name", "k8s_node"],
  ["k8s.deployment.name", "k8s_deployment"],
  ["k8s.pod.name", "k8s_pod"],
  ["k8s.container.name", "k8s_container"],
];
