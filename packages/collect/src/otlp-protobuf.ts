import {
  type Members,
  type OtlpAttribute,
  type OtlpLog,
  doubleText,
  emptyLog,
  emptyScope,
  objectText,
  resourceMembers,
  scopeMembers,
} from "./otlp-log-text.ts";
import type { OtlpSink } from "./otlp-sink.ts";
import { MalformedMessage, ProtoReader, type Range, protoField } from "./protobuf.ts";

/**
 * Reads an ExportLogsServiceRequest in protobuf (opentelemetry-proto 1.x; field numbers are those of its .proto files). A record,
 * scope or resource whose own bytes are broken costs the records that it is of, each with its bytes.
 *
 * @throws MalformedMessage where the frames do not tell which bytes are a record
 */
export function readOtlpProtobuf(bytes: Buffer, body: Range, sink: OtlpSink): void {
  const request = new ProtoReader(bytes, body);
  while (request.next()) if (request.field === 1) readResourceLogs(bytes, request.range(), sink);
}

function readResourceLogs(bytes: Buffer, frame: Range, sink: OtlpSink): void {
  const message = new ProtoReader(bytes, frame);
  const resource: Range[] = [];
  const scopes: Range[] = [];
  let schemaUrl = "";
  while (message.next()) {
    if (message.field === 1) resource.push(message.range());
    else if (message.field === 2) scopes.push(message.range());
    else if (message.field === 3) schemaUrl = message.string();
  }
  const resourceText = outcome("resource", () => resourceMembers(attributesIn(bytes, resource, sink)));
  for (const scope of scopes) readScopeLogs(bytes, scope, { resource, resourceText, schemaUrl }, sink);
}

interface ResourceFrame {
  readonly resource: readonly Range[];
  readonly resourceText: Members | MalformedMessage;
  readonly schemaUrl: string;
}

function readScopeLogs(bytes: Buffer, frame: Range, of: ResourceFrame, sink: OtlpSink): void {
  const message = new ProtoReader(bytes, frame);
  const scope: Range[] = [];
  const records: Range[] = [];
  let { schemaUrl } = of;
  while (message.next()) {
    if (message.field === 1) scope.push(message.range());
    else if (message.field === 2) records.push(message.range());
    else if (message.field === 3) schemaUrl = message.string() || schemaUrl;
  }
  const { resource, resourceText } = of;
  const scopeText = outcome("scope", () => scopeMembers(scopeIn(bytes, scope, schemaUrl, sink)));
  for (const range of records) {
    const raw = (): Buffer => requestOf(bytes, resource, scope, range);
    try {
      if (resourceText instanceof MalformedMessage) throw resourceText;
      if (scopeText instanceof MalformedMessage) throw scopeText;
      sink.record(logIn(bytes, range, sink), resourceText, scopeText, raw);
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      sink.unreadable(error.code, error.message, raw());
    }
  }
}

function outcome(what: string, read: () => Members): Members | MalformedMessage {
  try {
    return read();
  } catch (error) {
    if (error instanceof MalformedMessage)
      return new MalformedMessage(`${what}: ${error.message}`, error.code);
    throw error;
  }
}

/** A request with this record alone: what is kept of an unreadable one, so that it can be sent again. */
function requestOf(
  bytes: Buffer,
  resource: readonly Range[],
  scope: readonly Range[],
  record: Range,
): Buffer {
  const cut = ({ start, end }: Range): Buffer => bytes.subarray(start, end);
  const scopeLogs = Buffer.concat([
    ...scope.map((range) => protoField(1, cut(range))),
    protoField(2, cut(record)),
  ]);
  const resourceLogs = [...resource.map((range) => protoField(1, cut(range))), protoField(2, scopeLogs)];
  return protoField(1, Buffer.concat(resourceLogs));
}

function attributesIn(bytes: Buffer, resources: readonly Range[], sink: OtlpSink): OtlpAttribute[] {
  const attributes: OtlpAttribute[] = [];
  for (const range of resources) {
    const message = new ProtoReader(bytes, range);
    while (message.next())
      if (message.field === 1) attributes.push(attributeIn(bytes, message.range(), sink.depth));
  }
  return attributes;
}

function scopeIn(
  bytes: Buffer,
  scopes: readonly Range[],
  schemaUrl: string,
  sink: OtlpSink,
): ReturnType<typeof emptyScope> {
  const scope = { ...emptyScope(), schemaUrl };
  for (const range of scopes) {
    const message = new ProtoReader(bytes, range);
    while (message.next()) {
      if (message.field === 1) scope.name = message.string();
      else if (message.field === 2) scope.version = message.string();
      else if (message.field === 3) scope.attributes.push(attributeIn(bytes, message.range(), sink.depth));
    }
  }
  return scope;
}

function logIn(bytes: Buffer, range: Range, sink: OtlpSink): OtlpLog {
  const log = emptyLog();
  const message = new ProtoReader(bytes, range);
  while (message.next()) {
    switch (message.field) {
      case 1:
        log.timeNs = message.fixed64();
        break;
      case 2:
        log.severityNumber = message.uint32();
        break;
      case 3:
        log.severityText = message.string();
        break;
      case 5:
        log.body = valueIn(bytes, message.range(), sink.depth) ?? log.body;
        break;
      case 6:
        log.attributes.push(attributeIn(bytes, message.range(), sink.depth));
        break;
      case 7:
        log.droppedAttributes = message.uint32();
        break;
      case 8:
        log.flags = message.fixed32();
        break;
      case 9:
        log.traceId = message.bytes().toString("hex");
        break;
      case 10:
        log.spanId = message.bytes().toString("hex");
        break;
      case 11:
        log.observedNs = message.fixed64();
        break;
      case 12:
        log.eventName = message.string();
        break;
      default:
    }
  }
  return log;
}

/** A KeyValue. One without a value is null. */
function attributeIn(bytes: Buffer, range: Range, depth: number): OtlpAttribute {
  const message = new ProtoReader(bytes, range);
  let name = "";
  let value: string | undefined;
  while (message.next()) {
    if (message.field === 1) name = message.string();
    else if (message.field === 2) value = valueIn(bytes, message.range(), depth) ?? value;
  }
  return { name, value: value ?? "null" };
}

/** The JSON text of an AnyValue; undefined if none of its fields is there. */
function valueIn(bytes: Buffer, range: Range, depth: number): string | undefined {
  if (depth === 0)
    throw new MalformedMessage("lists and maps are nested deeper than the source allows", "too_deep");
  const message = new ProtoReader(bytes, range);
  let text: string | undefined;
  while (message.next()) {
    switch (message.field) {
      case 1:
        text = JSON.stringify(message.string());
        break;
      case 2:
        text = String(message.bool());
        break;
      case 3:
        text = String(message.int64());
        break;
      case 4:
        text = doubleText(message.double());
        break;
      case 5:
        text = `[${valuesIn(bytes, message.range(), depth - 1).join(",")}]`;
        break;
      case 6:
        text = objectText(membersIn(bytes, message.range(), depth - 1));
        break;
      case 7:
        text = `"${message.bytes().toString("base64")}"`;
        break;
      default:
    }
  }
  return text;
}

function valuesIn(bytes: Buffer, range: Range, depth: number): string[] {
  const values: string[] = [];
  const message = new ProtoReader(bytes, range);
  while (message.next())
    if (message.field === 1) values.push(valueIn(bytes, message.range(), depth) ?? "null");
  return values;
}

function membersIn(bytes: Buffer, range: Range, depth: number): OtlpAttribute[] {
  const members: OtlpAttribute[] = [];
  const message = new ProtoReader(bytes, range);
  while (message.next()) if (message.field === 1) members.push(attributeIn(bytes, message.range(), depth));
  return members;
}
