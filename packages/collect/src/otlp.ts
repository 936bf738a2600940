import { WeirError } from "@weir/contract";
import { shownMessage } from "./answer.ts";
import type { MediaType } from "./media-type.ts";
import { readOtlpJson } from "./otlp-json.ts";
import { readOtlpProtobuf } from "./otlp-protobuf.ts";
import { OtlpSink } from "./otlp-sink.ts";
import { MalformedMessage, protoField, protoNumber } from "./protobuf.ts";
import type { Protocol } from "./protocol.ts";

const protobufType = "application/x-protobuf";
const jsonType = "application/json";

/**
 * `POST /v1/logs`: OTLP/HTTP logs, in protobuf and JSON (OpenTelemetry Protocol Specification 1.x, OTLP/HTTP). Answers are in the
 * encoding of the request: ExportLogsServiceResponse with 200, or a google.rpc.Status. What cannot be read is a partial success,
 * which clients do not send again: it is kept, in quarantine.
 */
export const otlp: Protocol = {
  name: "otlp",
  kind: "logs",
  // An empty protobuf message has no bytes.
  allowsEmpty: ({ name }) => name === protobufType,
  accepts: ({ name, isUtf8 }) => name === protobufType || (name === jsonType && isUtf8),
  read({ body, limits, mediaType }, scanner, receipt) {
    const sink = new OtlpSink(receipt, limits);
    try {
      if (mediaType === protobufType) readOtlpProtobuf(body.bytes, body, sink);
      else readOtlpJson(body, scanner, sink);
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      throw new WeirError("invalid_otlp", `The body is no ExportLogsServiceRequest: ${error.message}.`);
    }
  },
  reply(receipt, { name }) {
    const rejected = receipt.unreadableCount;
    const [first] = receipt.described;
    const why = first === undefined ? "" : `; the first: ${first.code}: ${first.message}`;
    const message = `${rejected} of ${receipt.lines.count} records cannot be read and are in quarantine${why}`;
    if (name === jsonType) {
      const partialSuccess = { rejectedLogRecords: String(rejected), errorMessage: message };
      return {
        status: 200,
        contentType: jsonType,
        body: JSON.stringify(rejected === 0 ? {} : { partialSuccess }),
      };
    }
    const partialSuccess = Buffer.concat([protoNumber(1, rejected), protoField(2, Buffer.from(message))]);
    const body = rejected === 0 ? Buffer.alloc(0) : protoField(1, partialSuccess);
    return { status: 200, contentType: protobufType, body };
  },
  refusal(error, { name }: MediaType) {
    const message = `${error.code}: ${shownMessage(error)} ${error.remedy}`;
    if (name !== protobufType) return { contentType: jsonType, body: JSON.stringify({ message }) };
    return { contentType: protobufType, body: protoField(2, Buffer.from(message)) };
  },
};
