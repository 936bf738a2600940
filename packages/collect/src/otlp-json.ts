import { scannedText } from "./flat-record.ts";
import { type JsonNode, ParsedNode, TextNode } from "./json-node.ts";
import { attributesOf, logOf, scopeOf, textOf } from "./otlp-json-values.ts";
import { type Members, resourceMembers, scopeMembers } from "./otlp-log-text.ts";
import type { OtlpSink } from "./otlp-sink.ts";
import type { Body } from "./protocol.ts";
import { MalformedMessage } from "./protobuf.ts";
import type { RecordErrorCode, Scanner } from "./scan.ts";
import { splitSingle } from "./split.ts";

/** A record is 7 levels down, and each list or map within it adds 4: more than any limits.depth asks for. */
const bodyLimits = { depth: 512, recordBytes: Infinity };
/** Faults that let the rest of the body be read. */
const partial: ReadonlySet<RecordErrorCode> = new Set(["invalid_utf8", "lone_surrogate", "duplicate_key"]);

/**
 * Reads an ExportLogsServiceRequest in OTLP's JSON (OTLP 1.x, JSON Protobuf Encoding): names in lowerCamelCase, trace and span
 * ids in hexadecimal, 64-bit integers as strings or numbers; members that are not known are ignored.
 *
 * A record, scope or resource that breaks a rule costs the records that it is of, each with its bytes. So do bytes that are no
 * UTF-8, half surrogate pairs, and names that come twice.
 *
 * @throws MalformedMessage for a body that is no JSON, or in which the records cannot be found
 */
export function readOtlpJson({ bytes, isUtf8, start, end }: Body, scanner: Scanner, sink: OtlpSink): void {
  let request: JsonNode | undefined;
  scanner.open(bytes, isUtf8, bodyLimits);
  splitSingle(scanner, start, end, {
    record({ code, detail }, from, to) {
      if (code === undefined) request = ParsedNode.of(bytes.toString("utf8", from, to));
      else if (partial.has(code)) request = new TextNode(scannedText(scanner), scanner);
      else throw new MalformedMessage(`not a JSON object: ${detail}`);
    },
  });
  if (request === undefined) throw new MalformedMessage("not a JSON object: it is empty");
  readRequest(request, sink);
}

function readRequest(request: JsonNode, sink: OtlpSink): void {
  const members = request.members();
  const lists = members.filter(([name]) => name === "resourceLogs");
  // Every message of the protocol is wholly optional, so a request in other words would be an empty one, and its records lost.
  if (lists.length === 0 && members.length > 0) {
    throw new MalformedMessage("there is no member resourceLogs, which holds the records");
  }
  for (const [, list] of lists) for (const element of list.elements()) readResourceLogs(element, sink);
}

function readResourceLogs(element: JsonNode, sink: OtlpSink): void {
  const { resource, scopeLogs, schemaUrl } = partsOf(element, ["resource", "scopeLogs", "schemaUrl"]);
  const url = schemaText(schemaUrl);
  const members = outcome("resource", () =>
    resourceMembers(attributesOf(resource?.value() ?? {}, "resource", sink.depth)),
  );
  for (const scope of scopeLogs?.elements() ?? []) readScopeLogs(scope, { resource, members, url }, sink);
}

interface ResourceFrame {
  readonly resource: JsonNode | undefined;
  readonly members: Members | MalformedMessage;
  readonly url: string;
}

function readScopeLogs(element: JsonNode, of: ResourceFrame, sink: OtlpSink): void {
  const { scope, logRecords, schemaUrl } = partsOf(element, ["scope", "logRecords", "schemaUrl"]);
  const url = schemaText(schemaUrl) || of.url;
  const members = outcome("scope", () =>
    scopeMembers({ ...scopeOf(scope?.value() ?? {}, sink.depth), schemaUrl: url }),
  );
  for (const record of logRecords?.elements() ?? []) {
    const raw = (): Buffer => requestOf(of.resource, scope, record);
    try {
      if (of.members instanceof MalformedMessage) throw of.members;
      if (members instanceof MalformedMessage) throw members;
      sink.record(logOf(record.value(), sink.depth), of.members, members, raw);
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      sink.unreadable(error.code, error.message, raw());
    }
  }
}

const schemaText = (node: JsonNode | undefined): string => textOf(node?.value(), "schemaUrl");

/** The members of an object by name, of those named. Null is as good as absent (proto3's JSON mapping). */
function partsOf<const N extends string>(node: JsonNode, names: readonly N[]): Partial<Record<N, JsonNode>> {
  const parts: Partial<Record<N, JsonNode>> = {};
  for (const [name, part] of node.members()) {
    if ((names as readonly string[]).includes(name) && !part.isNull) parts[name as N] = part;
  }
  return parts;
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
function requestOf(resource: JsonNode | undefined, scope: JsonNode | undefined, record: JsonNode): Buffer {
  const scopePart = scope === undefined ? "" : `"scope":${scope.text},`;
  const resourcePart = resource === undefined ? "" : `"resource":${resource.text},`;
  const request = `{"resourceLogs":[{${resourcePart}"scopeLogs":[{${scopePart}"logRecords":[${record.text}]}]}]}`;
  return Buffer.from(request, "latin1");
}
