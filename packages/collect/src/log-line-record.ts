import { logResourceColumns } from "@weir/contract";
import { FlatRecord, type Member, membersOf, stringOf } from "./flat-record.ts";
import { nanosecondsText } from "./log-time.ts";

/** Names under which shippers and loggers send one thing; the first that is there and of the right type counts. */
const timeNames = ["date", "@timestamp", "timestamp", "time", "ts"];
const bodyNames = ["log", "message", "msg", "body"];
const severityNames = ["severity_text", "severity", "level", "loglevel", "levelname", "log.level"];
const textColumns: readonly (readonly [column: string, names: readonly string[]])[] = [
  ["trace_id", ["trace_id", "traceId", "trace.id"]],
  ["span_id", ["span_id", "spanId", "span.id"]],
  ["event_name", ["event_name"]],
  ["scope", ["logger", "logger_name", "scope"]],
  ...namesByColumn(),
];
/** Members of Fluent Bit's `kubernetes`, made by its Kubernetes filter, that are columns. */
const kubernetesColumns: readonly (readonly [member: string, column: string])[] = [
  ["namespace_name", "k8s_namespace"],
  ["pod_name", "k8s_pod"],
  ["container_name", "k8s_container"],
  ["host", "k8s_node"],
];
/** Labels that name a pod's application. */
const serviceLabels = ["app.kubernetes.io/name", "app", "k8s-app"];

/** Severity numbers of OpenTelemetry (Logs Data Model, appendix B) for the words that loggers use. */
const severityNumbers: ReadonlyMap<string, number> = new Map([
  ["trace", 1],
  ["debug", 5],
  ["dbg", 5],
  ["info", 9],
  ["information", 9],
  ["informational", 9],
  ["notice", 10],
  ["warn", 13],
  ["warning", 13],
  ["error", 17],
  ["err", 17],
  ["critical", 18],
  ["crit", 18],
  ["alert", 19],
  ["fatal", 21],
  ["panic", 21],
  ["emergency", 21],
  ["emerg", 21],
]);
/** The levels of pino and bunyan, which are numbers. */
const numericLevels: ReadonlyMap<string, number> = new Map([
  ["10", 1],
  ["20", 5],
  ["30", 9],
  ["40", 13],
  ["50", 17],
  ["60", 21],
]);

function namesByColumn(): (readonly [string, readonly string[]])[] {
  const names = new Map<string, string[]>();
  for (const [attribute, column] of logResourceColumns) {
    const listed = names.get(column) ?? [column, ...(column === "service" ? ["service_name"] : [])];
    names.set(column, [...listed, attribute]);
  }
  return [...names];
}

/**
 * The log record of a JSON object as shippers send it, without its id. Values stay as they were written; what has no column is in
 * `attributes`, and what is left of `kubernetes` in `resource`. Texts are latin1, one character a byte.
 */
export function logLineRecord(text: string): FlatRecord {
  const line = new Line(membersOf(text));
  const record = new FlatRecord();
  const time = line.take(timeNames, instantOf);
  if (time !== undefined) record.add("time", `"${time}"`);
  const body = line.take(bodyNames, (value) => (value === "null" ? undefined : value));
  if (body !== undefined) record.add(body.startsWith('"') ? "body" : "body_json", body);
  addSeverity(line, record);
  for (const [column, names] of textColumns) {
    const value = line.take(names, (one) => (one.startsWith('"') ? one : undefined));
    if (value !== undefined) record.add(column, value);
  }
  const kubernetes = line.take(["kubernetes"], (value) => (value.startsWith("{") ? value : undefined));
  if (kubernetes !== undefined) addKubernetes(kubernetes, record);
  if (line.left.length > 0) record.add("attributes", objectText(line.left));
  return record;
}

/** The members of a line that have no place yet. */
class Line {
  left: Member[];

  constructor(members: Member[]) {
    this.left = members;
  }

  /** Takes the first member of these names for which `read` gives something. */
  take(names: readonly string[], read: (value: string) => string | undefined): string | undefined {
    for (const name of names) {
      const at = this.left.findIndex((member) => member.name === name);
      if (at < 0) continue;
      const taken = read(this.left[at]!.value);
      if (taken === undefined) continue;
      this.left.splice(at, 1);
      return taken;
    }
    return undefined;
  }
}

function addSeverity(line: Line, record: FlatRecord): void {
  const given = line.take(["severity_number"], (value) => (/^\d{1,2}$/.test(value) ? value : undefined));
  const text = line.take(severityNames, (value) =>
    value.startsWith('"') || numericLevels.has(value) ? value : undefined,
  );
  const word = stringOf(text)?.trim().toLowerCase();
  const meant = word === undefined ? numericLevels.get(text ?? "") : severityNumbers.get(word);
  const number = given ?? meant;
  if (number !== undefined) record.add("severity_number", String(number));
  if (text !== undefined) record.add("severity_text", text.startsWith('"') ? text : `"${text}"`);
}

function addKubernetes(value: string, record: FlatRecord): void {
  const kubernetes = new Line(membersOf(value));
  for (const [name, column] of kubernetesColumns) {
    const text = kubernetes.take([name], (one) =>
      one.startsWith('"') && !record.has(column) ? one : undefined,
    );
    if (text !== undefined) record.add(column, text);
  }
  const labels = kubernetes.left.find(({ name }) => name === "labels")?.value;
  if (!record.has("service") && labels?.startsWith("{") === true) {
    const service = new Line(membersOf(labels)).take(serviceLabels, (one) =>
      one.startsWith('"') ? one : undefined,
    );
    if (service !== undefined) record.add("service", service);
  }
  if (kubernetes.left.length > 0) record.add("resource", `{"kubernetes":${objectText(kubernetes.left)}}`);
}

const objectText = (members: readonly Member[]): string =>
  `{${members.map(({ nameText, value }) => `${nameText}:${value}`).join(",")}}`;

/**
 * The RFC 3339 text of an instant as shippers write one: RFC 3339 itself, `YYYY-MM-DD HH:MM:SS` in UTC (Fluent Bit's
 * java_sql_timestamp), or a number of seconds, milliseconds, microseconds or nanoseconds since the epoch, told apart by
 * their size: seconds are below 10^11 until the year 5138.
 */
function instantOf(value: string): string | undefined {
  const text = stringOf(value) ?? value;
  const [, day, clock, zone = ""] =
    /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d(?:[.,]\d{1,12})?)\s?([Zz]|[+-]\d\d:?\d\d)?$/.exec(text) ?? [];
  if (day !== undefined && clock !== undefined) {
    const offset = zone === "" ? "Z" : zone.replace(/^([+-]\d\d)(\d\d)$/, "$1:$2").toUpperCase();
    return `${day}T${clock.replace(",", ".")}${offset}`;
  }
  return epochText(text);
}

function epochText(text: string): string | undefined {
  const [, whole, fraction = ""] = /^(\d{1,19})(?:\.(\d{1,20}))?$/.exec(text) ?? [];
  if (whole === undefined) return undefined;
  const digits = BigInt(whole) < 100_000_000_000n ? 9 : whole.length <= 14 ? 6 : whole.length <= 17 ? 3 : 0;
  const ns = BigInt(whole + fraction.slice(0, digits).padEnd(digits, "0"));
  return nanosecondsText(ns);
}
