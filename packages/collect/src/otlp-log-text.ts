import { logResourceColumns } from "@weir/contract";
import { nanosecondsText } from "./log-time.ts";

/** A named value; `value` is its JSON text. */
export interface OtlpAttribute {
  readonly name: string;
  readonly value: string;
}

/** Minified JSON members, each with a comma before it, and how many there are. */
export interface Members {
  readonly text: string;
  readonly count: number;
}

/** One log record as OTLP says it, whatever the encoding (opentelemetry/proto/logs/v1/logs.proto). */
export interface OtlpLog {
  /** Nanoseconds since the epoch; 0 is unknown. */
  timeNs: bigint;
  observedNs: bigint;
  severityNumber: number;
  severityText: string;
  /** JSON text of the body; undefined if there is none. */
  body: string | undefined;
  eventName: string;
  /** Hexadecimal, lower case; empty or all 0 is none. */
  traceId: string;
  spanId: string;
  flags: number;
  readonly attributes: OtlpAttribute[];
  droppedAttributes: number;
}

export interface OtlpScope {
  name: string;
  version: string;
  readonly attributes: OtlpAttribute[];
  schemaUrl: string;
}

export const emptyLog = (): OtlpLog => ({
  timeNs: 0n,
  observedNs: 0n,
  severityNumber: 0,
  severityText: "",
  body: undefined,
  eventName: "",
  traceId: "",
  spanId: "",
  flags: 0,
  attributes: [],
  droppedAttributes: 0,
});

export const emptyScope = (): OtlpScope => ({ name: "", version: "", attributes: [], schemaUrl: "" });

const uidAttribute = "log.record.uid";

/** Members of a record that its resource gives. */
export function resourceMembers(attributes: readonly OtlpAttribute[]): Members {
  const members = new MemberText();
  const filled = new Set<string>();
  const taken = new Set<OtlpAttribute>();
  for (const [name, column] of logResourceColumns) {
    const attribute = attributes.find((one) => one.name === name);
    if (attribute === undefined || filled.has(column) || !attribute.value.startsWith('"')) continue;
    members.add(column, attribute.value);
    filled.add(column);
    taken.add(attribute);
  }
  members.addObject(
    "resource",
    attributes.filter((attribute) => !taken.has(attribute)),
  );
  return members;
}

/** Members of a record that its scope gives. */
export function scopeMembers({ name, version, attributes, schemaUrl }: OtlpScope): Members {
  const members = new MemberText();
  members.addText("scope", name);
  members.addText("scope_version", version);
  members.addObject("scope_attributes", attributes);
  members.addText("schema_url", schemaUrl);
  return members;
}

/** Members of a record of its own; and the id that it has, if its source gave it one. */
export function logMembers(log: OtlpLog): { members: Members; uid: string | undefined } {
  const members = new MemberText();
  const { timeNs, observedNs, severityNumber, body, flags, droppedAttributes } = log;
  // "Use Timestamp if it is present, otherwise use ObservedTimestamp" (Logs Data Model, field ObservedTimestamp).
  const time = timeNs === 0n ? observedNs : timeNs;
  if (time !== 0n) members.add("time", `"${nanosecondsText(time)}"`);
  if (observedNs !== 0n) members.add("observed_time", `"${nanosecondsText(observedNs)}"`);
  if (severityNumber !== 0) members.add("severity_number", String(severityNumber));
  members.addText("severity_text", log.severityText);
  if (body !== undefined) members.add(body.startsWith('"') ? "body" : "body_json", body);
  members.addText("event_name", log.eventName);
  if (/[^0]/.test(log.traceId)) members.addText("trace_id", log.traceId);
  if (/[^0]/.test(log.spanId)) members.addText("span_id", log.spanId);
  if (flags !== 0) members.add("trace_flags", String(flags));
  const uid = uidOf(log.attributes);
  members.addObject(
    "attributes",
    uid === undefined ? log.attributes : log.attributes.filter((a) => a !== uid),
  );
  if (droppedAttributes !== 0) members.add("dropped_attributes", String(droppedAttributes));
  return { members, uid: uid === undefined ? undefined : (JSON.parse(uid.value) as string) };
}

/** "If an id is provided, other log records with the same id will be considered duplicates" (Semantic Conventions, General logs attributes). */
function uidOf(attributes: readonly OtlpAttribute[]): OtlpAttribute | undefined {
  const uid = attributes.find(({ name }) => name === uidAttribute);
  return uid !== undefined && /^".{1,200}"$/s.test(uid.value) ? uid : undefined;
}

/** The JSON text of an object. Names must be unique; one that comes again gets `_` behind it, so that no value is lost. */
export function objectText(attributes: readonly OtlpAttribute[]): string {
  const names = new Set<string>();
  let text = "";
  for (const { name, value } of attributes) {
    let free = name;
    while (names.has(free)) free += "_";
    names.add(free);
    text += `${text === "" ? "" : ","}${JSON.stringify(free)}:${value}`;
  }
  return `{${text}}`;
}

/** The JSON text of a double. JSON has no other numbers; the words are those of protobuf's JSON mapping. */
export function doubleText(value: number): string {
  return Number.isFinite(value) ? JSON.stringify(value) : `"${String(value)}"`;
}

class MemberText implements Members {
  text = "";
  count = 0;

  add(name: string, value: string): void {
    this.text += `,"${name}":${value}`;
    this.count++;
  }

  addText(name: string, value: string): void {
    if (value !== "") this.add(name, JSON.stringify(value));
  }

  addObject(name: string, attributes: readonly OtlpAttribute[]): void {
    if (attributes.length > 0) this.add(name, objectText(attributes));
  }
}
