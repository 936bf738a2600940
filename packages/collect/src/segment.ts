import type { ContractNames, NamedContract } from "./contract-names.ts";
import { normalisedName } from "./contract-names.ts";
import { type Envelope, readEnvelope } from "./segment-envelope.ts";
import { FlatRecord, type Member, membersOf, quoted, scannedText, stringOf } from "./flat-record.ts";
import type { Protocol, ProtocolRequest } from "./protocol.ts";
import type { Receipt } from "./receipt.ts";
import { type Scanner, skipSpace } from "./scan.ts";
import { type RecordSink, emitRest, splitArray, splitSingle } from "./split.ts";

type Kind = "track" | "page" | "screen" | "identify" | "group" | "alias";

/** The member whose members become the record's own. */
const payloadNames: Record<Kind, "properties" | "traits" | undefined> = {
  track: "properties",
  page: "properties",
  screen: "properties",
  identify: "traits",
  group: "traits",
  alias: undefined,
};

/** analytics.js in browsers uses the first letters. */
const endpointKinds: Record<string, Kind> = {
  track: "track",
  t: "track",
  page: "page",
  p: "page",
  screen: "screen",
  s: "screen",
  identify: "identify",
  i: "identify",
  group: "group",
  g: "group",
  alias: "alias",
  a: "alias",
};

/** Differ between a message and its retry, or are secret. A retry must give the same bytes. */
const dropped = new Set(["sentAt", "receivedAt", "writeKey", "_metadata"]);

/** Members of a message that keep a place at the top level, in the order they have there. */
const placed: readonly (readonly [string, string])[] = [
  ["messageId", "message_id"],
  ["anonymousId", "anonymous_id"],
  ["userId", "user_id"],
  ["groupId", "group_id"],
  ["previousId", "previous_id"],
  ["timestamp", "timestamp"],
  ["context", "context"],
];
const placedOfPages: typeof placed = [["name", "name"], ["category", "category"], ...placed];

/**
 * JSON, whatever it is called: text/plain is what analytics.js sends, to need no preflight, and application/x-www-form-urlencoded what axios
 * calls the compressed bytes of the RudderStack SDK for Node.
 */
const jsonTypes = new Set(["application/json", "text/plain", "application/x-www-form-urlencoded", ""]);

export const segmentEndpoints: readonly string[] = [...Object.keys(endpointKinds), "batch", "import", "b"];

/** The Segment HTTP tracking API. Its record is made by the rules of docs/reference/http.md. */
export const segment: Protocol = {
  name: "segment",
  kind: "http",
  allowsEmpty: () => false,
  accepts: ({ name, isUtf8 }) => isUtf8 && jsonTypes.has(name),
  keyIn: (body) => readEnvelope(body).writeKey,
  read(request, scanner, receipt) {
    const { body, limits, endpoint } = request;
    // A member of a message moves one level down when it lands in `segment`.
    scanner.open(body.bytes, body.isUtf8, { ...limits, depth: limits.depth - 1 });
    const kind = endpointKinds[endpoint];
    if (kind === undefined) readBatch(request, scanner, receipt);
    else splitSingle(scanner, body.start, body.end, new MessageSink(receipt, kind, undefined));
  },
};

/** `{"batch": [message, ...], "context": {...}, ...}`. A bad message costs only itself; see splitArray. */
function readBatch({ body }: ProtocolRequest, scanner: Scanner, receipt: Receipt): void {
  const envelope = readEnvelope(body);
  const sink = new MessageSink(receipt, undefined, contextOf(envelope, scanner, receipt));
  if (envelope.batches.length === 0) {
    const start = skipSpace(body.bytes, body.start, body.end);
    // Either it is no JSON object, which the scan says, or it has no batch.
    splitSingle(scanner, start, body.end, new NoBatchSink(receipt));
    return;
  }
  for (const open of envelope.batches) if (splitArray(scanner, open, body.end, sink) < 0) return;
  const rest = skipSpace(body.bytes, envelope.end, body.end);
  if (rest < body.end) emitRest(scanner, rest, body.end, "bytes that belong to no message", sink);
}

/** The context of the whole batch, as minified text; what is not an object is kept as an unreadable record. */
function contextOf(envelope: Envelope, scanner: Scanner, receipt: Receipt): string | undefined {
  const { context } = envelope;
  if (context === undefined) return undefined;
  let text: string | undefined;
  splitSingle(scanner, context.start, context.end, {
    record(scanned, start, end) {
      if (scanned.code === undefined) text = scannedText(scanned);
      else receipt.addUnreadable(scanned.code, scanned.detail, scanned.bytes.subarray(start, end));
    },
  });
  return text;
}

class NoBatchSink implements RecordSink {
  readonly #receipt: Receipt;

  constructor(receipt: Receipt) {
    this.#receipt = receipt;
  }

  record(scanner: Scanner, start: number, end: number): void {
    const bytes = scanner.bytes.subarray(start, end);
    const code = scanner.code ?? "invalid_message";
    this.#receipt.addUnreadable(
      code,
      scanner.code === undefined ? "no array in batch" : scanner.detail,
      bytes,
    );
  }
}

class MessageSink implements RecordSink {
  readonly #receipt: Receipt;
  readonly #kind: Kind | undefined;
  readonly #context: string | undefined;

  /** `kind` is undefined where each message says its own; `context` is for messages that have none. */
  constructor(receipt: Receipt, kind: Kind | undefined, context: string | undefined) {
    this.#receipt = receipt;
    this.#kind = kind;
    this.#context = context;
  }

  record(scanner: Scanner, start: number, end: number): void {
    const receipt = this.#receipt;
    if (scanner.code !== undefined) {
      receipt.addUnreadable(scanner.code, scanner.detail, scanner.bytes.subarray(start, end));
      return;
    }
    const mapped = mapMessage(membersOf(scannedText(scanner)), this.#kind, this.#context, receipt.names);
    if (typeof mapped === "string") {
      receipt.addUnreadable("invalid_message", mapped, scanner.bytes.subarray(start, end));
    } else {
      const { named, record } = mapped;
      receipt.addText(named, record.keys, record.nulls, record.text);
    }
  }
}

/** The flat record of a message, or what is wrong with it. */
function mapMessage(
  message: readonly Member[],
  endpointKind: Kind | undefined,
  batchContext: string | undefined,
  names: ContractNames,
): { named: NamedContract; record: FlatRecord } | string {
  const values = new Map(message.map(({ name, value }) => [name, value]));
  const kind = endpointKind ?? kindOf(stringOf(values.get("type")));
  if (kind === undefined) return "type is none of track, page, screen, identify, group, alias";
  const event = stringOf(values.get("event"));
  if (kind === "track" && (event === undefined || event === "")) return "event is not a name";
  if (batchContext !== undefined && !values.has("context")) values.set("context", batchContext);

  const named = nameOf(kind === "track" ? event! : kind, names);
  const record = new FlatRecord();
  const rest = new FlatRecord();
  if (!values.has("type")) rest.add("type", quoted(kind));
  const payloadName = payloadNames[kind];
  const payload = payloadName === undefined ? undefined : values.get(payloadName);
  const isObject = payload?.startsWith("{") === true;
  if (isObject) for (const { name, nameText, value } of membersOf(payload)) record.add(name, value, nameText);

  const done = new Set(dropped);
  if (isObject) done.add(payloadName!);
  for (const [name, place] of kind === "page" || kind === "screen" ? placedOfPages : placed) {
    const value = values.get(name);
    if (value !== undefined && record.add(place, value)) done.add(name);
  }
  fill(record, named.contract?.id, values.get("messageId"));
  fill(record, named.contract?.time, values.get("timestamp") ?? values.get("originalTimestamp"));
  // Taken from the values and not the message: a context of the batch whose place is taken must not be lost either.
  for (const [name, value] of values) if (!done.has(name)) rest.add(name, value);
  record.addBeside("segment", rest.text);
  return { named, record };
}

function kindOf(type: string | undefined): Kind | undefined {
  return type !== undefined && Object.hasOwn(payloadNames, type) ? (type as Kind) : undefined;
}

function nameOf(sent: string, names: ContractNames): NamedContract {
  return names.find(names.knows(sent) ? sent : normalisedName(sent));
}

/** Gives the record a field of its contract that the payload does not have, from the envelope. */
function fill(record: FlatRecord, field: string | undefined, value: string | undefined): void {
  if (field !== undefined && value !== undefined && value.startsWith('"')) record.add(field, value);
}
