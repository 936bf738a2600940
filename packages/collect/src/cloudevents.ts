import type { IncomingHttpHeaders } from "node:http";
import type { ContractNames, NamedContract } from "./contract-names.ts";
import { normalisedName } from "./contract-names.ts";
import { FlatRecord, type Member, membersOf, quoted, scannedText, stringOf } from "./flat-record.ts";
import { type Protocol, type ProtocolRequest, isBlank } from "./protocol.ts";
import type { Receipt } from "./receipt.ts";
import type { Scanner } from "./scan.ts";
import { type RecordSink, splitJson, splitSingle } from "./split.ts";

const structuredType = "application/cloudevents+json";
const batchType = "application/cloudevents-batch+json";
const required = ["specversion", "id", "source", "type"] as const;
/** Order of the attributes of a binary-mode event; extensions follow by name. A retry must give the same bytes. */
const attributeOrder = [...required, "subject", "time", "datacontenttype", "dataschema"];

/** The CloudEvents 1.0 HTTP protocol binding in its three content modes. Its record is made by the rules of docs/reference/http.md. */
export const cloudevents: Protocol = {
  name: "cloudevents",
  kind: "http",
  allowsEmpty: ({ name }) => name !== structuredType && name !== batchType,
  accepts({ name, isUtf8 }, headers) {
    if (name.startsWith("application/cloudevents"))
      return isUtf8 && (name === structuredType || name === batchType);
    // In binary mode the body is data, of any type.
    return headers["ce-specversion"] !== undefined;
  },
  read(request, scanner, receipt) {
    const { body, limits, mediaType } = request;
    // Attributes move one level down when they land in `cloudevent`.
    scanner.open(body.bytes, body.isUtf8, { ...limits, depth: limits.depth - 1 });
    if (mediaType === batchType) splitJson(scanner, body.start, body.end, new EventSink(receipt));
    else if (mediaType === structuredType) splitSingle(scanner, body.start, body.end, new EventSink(receipt));
    else readBinary(request, scanner, receipt);
  },
};

/** Takes events in the JSON format. */
class EventSink implements RecordSink {
  readonly #receipt: Receipt;

  constructor(receipt: Receipt) {
    this.#receipt = receipt;
  }

  record(scanner: Scanner, start: number, end: number): void {
    const receipt = this.#receipt;
    const bytes = scanner.bytes.subarray(start, end);
    if (scanner.code === undefined) addEvent(membersOf(scannedText(scanner)), bytes, receipt);
    else receipt.addUnreadable(scanner.code, scanner.detail, bytes);
  }
}

/** Adds an event given as the members of its JSON format; `bytes` is what to keep of it if it breaks a rule. */
function addEvent(event: readonly Member[], bytes: Uint8Array, receipt: Receipt): void {
  const mapped = mapEvent(event, receipt.names);
  if (typeof mapped === "string") receipt.addUnreadable("invalid_message", mapped, bytes);
  else {
    const { named, record } = mapped;
    receipt.addText(named, record.keys, record.nulls, record.text);
  }
}

/** The flat record of an event, or what is wrong with it (CloudEvents 1.0.2, sections 3.1 and, of the JSON format, 3.1). */
function mapEvent(
  event: readonly Member[],
  names: ContractNames,
): { named: NamedContract; record: FlatRecord } | string {
  const values = new Map(event.map(({ name, value }) => [name, value]));
  for (const name of required) {
    const text = stringOf(values.get(name));
    if (text === undefined || text === "") return `attribute ${name} is no string, or empty`;
  }
  if (stringOf(values.get("specversion")) !== "1.0") return "specversion is not 1.0";
  const data = values.get("data");
  const base64 = values.get("data_base64");
  if (data !== undefined && base64 !== undefined) return "both data and data_base64";
  if (base64 !== undefined && stringOf(base64) === undefined) return "data_base64 is no string";

  const named = nameOf(stringOf(values.get("type"))!, names);
  const record = new FlatRecord();
  if (data?.startsWith("{") === true) {
    for (const { name, nameText, value } of membersOf(data)) record.add(name, value, nameText);
  } else if (data !== undefined) record.add("data", data);
  if (base64 !== undefined) record.add("data_base64", base64);
  fill(record, named.contract?.id, values.get("id"));
  fill(record, named.contract?.time, values.get("time"));

  const attributes = new FlatRecord();
  for (const { name, nameText, value } of event) {
    if (name !== "data" && name !== "data_base64") attributes.add(name, value, nameText);
  }
  record.addBeside("cloudevent", attributes.text);
  return { named, record };
}

/** An event type is a name or an alias of a contract, or becomes the name of one (`com.example.Order` -> com_example_order), or stays. */
function nameOf(type: string, names: ContractNames): NamedContract {
  const normalised = normalisedName(type);
  return names.find(!names.knows(type) && names.knows(normalised) ? normalised : type);
}

function fill(record: FlatRecord, field: string | undefined, value: string | undefined): void {
  if (field !== undefined && value?.startsWith('"') === true) record.add(field, value);
}

/** Binary mode: attributes in headers, data in the body (HTTP protocol binding 1.0.2, section 3.1). */
function readBinary(request: ProtocolRequest, scanner: Scanner, receipt: Receipt): void {
  const { body, headers, mediaType, limits } = request;
  const attributes = attributesOf(headers);
  const raw = body.bytes.subarray(body.start, body.end);
  const isJsonData = mediaType === "" || isJson(mediaType);
  if (raw.length === 0 || (isJsonData && isBlank(body))) {
    addEvent(attributes, eventBytes(attributes), receipt);
    return;
  }
  const add = (name: string, value: string): void => {
    const event = [...attributes, { name, nameText: quoted(name), value }];
    if (value.length <= limits.recordBytes) addEvent(event, eventBytes(event), receipt);
    else
      receipt.addUnreadable(
        "too_large",
        `${value.length} bytes of data, limit ${limits.recordBytes}`,
        eventBytes(event),
      );
  };
  const asBase64 = quoted(raw.toString("base64"));
  if (!isJsonData) {
    if (body.isUtf8 && isTextual(mediaType)) add("data", quoted(raw.toString()));
    else add("data_base64", asBase64);
    return;
  }
  splitSingle(scanner, body.start, body.end, {
    record(scanned) {
      const { code, detail } = scanned;
      // Data may be any JSON value.
      if (code === undefined || code === "not_an_object") add("data", scannedText(scanned));
      else {
        const event = [...attributes, { name: "data_base64", nameText: '"data_base64"', value: asBase64 }];
        receipt.addUnreadable(code, detail, eventBytes(event));
      }
    },
  });
}

/** An event in the JSON format, as the bytes to keep of an unreadable one: the body alone would lose its attributes. */
function eventBytes(event: readonly Member[]): Uint8Array {
  const members = event.map(({ nameText, value }) => `${nameText}:${value}`);
  return Buffer.from(`{${members.join(",")}}`, "latin1");
}

function attributesOf(headers: IncomingHttpHeaders): Member[] {
  const attributes = new Map<string, string>();
  for (const [header, value] of Object.entries(headers)) {
    if (header.startsWith("ce-") && typeof value === "string")
      attributes.set(header.slice(3), decodeHeader(value));
  }
  const contentType = headers["content-type"];
  if (contentType !== undefined) attributes.set("datacontenttype", contentType);
  const ordered = [
    ...attributeOrder.filter((name) => attributes.has(name)),
    ...[...attributes.keys()].filter((name) => !attributeOrder.includes(name)).sort(),
  ];
  return ordered.map((name) => ({ name, nameText: quoted(name), value: quoted(attributes.get(name)!) }));
}

/**
 * An attribute as its header says it (HTTP protocol binding, section 3.1.3.2): double quotes around it come off, then `%XX` are
 * bytes of UTF-8. Bytes that are no UTF-8 become U+FFFD, as a string must be Unicode.
 */
function decodeHeader(value: string): string {
  const inner = /^"(.*)"$/.exec(value)?.[1]?.replaceAll(/\\(.)/g, "$1") ?? value;
  const bytes = inner.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(bytes, "latin1").toString();
}

function isJson(mediaType: string): boolean {
  return mediaType.endsWith("/json") || mediaType.endsWith("+json");
}

function isTextual(mediaType: string): boolean {
  return mediaType.startsWith("text/") || mediaType.endsWith("/xml") || mediaType.endsWith("+xml");
}
