import type { IncomingMessage, ServerResponse } from "node:http";
import { WeirError } from "@weir/contract";
import { answer, refuse } from "./answer.ts";
import { cloudevents } from "./cloudevents.ts";
import type { ContractList } from "./contract-list.ts";
import type { Cors } from "./cors.ts";
import type { EngineProxy } from "./engine-proxy.ts";
import { events } from "./events.ts";
import type { Ingest } from "./ingest.ts";
import { logLines } from "./log-lines.ts";
import { otlp } from "./otlp.ts";
import type { Protocol } from "./protocol.ts";
import type { Readiness } from "./readiness.ts";
import { segment, segmentEndpoints } from "./segment.ts";
import type { Webhooks } from "./webhooks.ts";

/** Where requests go. */
export interface Destinations {
  readonly ingest: Ingest;
  readonly webhooks: Webhooks;
  readonly cors: Cors;
  readonly contracts: ContractList;
  readonly readiness: () => Readiness;
  readonly engine: EngineProxy;
}

/** Addresses under `/v1/`, and the protocol each speaks. */
const endpoints = new Map<string, Protocol>([
  ["events", events],
  ["cloudevents", cloudevents],
  ["logs", otlp],
  ["logs/ndjson", logLines],
  ...segmentEndpoints.map((endpoint): [string, Protocol] => [endpoint, segment]),
]);
/** Followed by the name of a source. */
const webhookPrefix = "/v1/webhooks/";
/** Reads may come from any page: they show no more than the project file. */
const open = { "access-control-allow-origin": "*" };

/** Answers one request by its method and address. `expectsContinue`: the client waits for "100 Continue". */
export function route(
  request: IncomingMessage,
  response: ServerResponse,
  expectsContinue: boolean,
  to: Destinations,
): void {
  if (request.headers.host === undefined && request.httpVersion === "1.1") {
    refuse(request, response, new WeirError("invalid_http", "The request has no Host header."), {
      connection: "close",
    });
    return;
  }
  const url = originForm(request.url ?? "/");
  const question = url.indexOf("?");
  const path = question < 0 ? url : url.slice(0, question);
  if (path.startsWith(webhookPrefix)) {
    call(request, response, { source: path.slice(webhookPrefix.length), expectsContinue }, to);
  } else if (path.startsWith("/v1/")) {
    const query = question < 0 ? undefined : new URLSearchParams(url.slice(question + 1));
    write(request, response, { path, query, expectsContinue }, to);
  } else if (path === "/api" || path.startsWith("/api/")) {
    if (expectsContinue) response.writeContinue();
    to.engine.handle(request, response);
  } else if (request.method === "GET" || request.method === "HEAD") {
    read(request, response, path, to);
  } else if (find(path, to) !== undefined) {
    refuseMethod(request, response, "GET, HEAD");
  } else refuseAddress(request, response);
}

/** The path and query. A client may name the whole address, as to a proxy (RFC 9112, section 3.2.2). */
function originForm(target: string): string {
  return target.replace(/^https?:\/\/[^/?]*/i, "") || "/";
}

function write(
  request: IncomingMessage,
  response: ServerResponse,
  asked: { path: string; query: URLSearchParams | undefined; expectsContinue: boolean },
  { ingest, cors }: Destinations,
): void {
  const endpoint = asked.path.slice("/v1/".length);
  const protocol = endpoints.get(endpoint);
  if (protocol === undefined) refuseAddress(request, response);
  else if (request.method === "POST") {
    const { query, expectsContinue } = asked;
    void ingest.handle(request, response, { protocol, endpoint, query, expectsContinue });
  } else if (request.method === "OPTIONS") {
    response.writeHead(204, { allow: "POST, OPTIONS", ...cors.preflight(request.headers) });
    response.end();
  } else refuseMethod(request, response, "POST, OPTIONS");
}

/** A call of a source's provider. No page calls, so there is no preflight. */
function call(
  request: IncomingMessage,
  response: ServerResponse,
  asked: { source: string; expectsContinue: boolean },
  { webhooks }: Destinations,
): void {
  const source = webhooks.find(asked.source);
  if (source === undefined) refuseAddress(request, response);
  else if (request.method === "POST") void webhooks.handle(request, response, source, asked.expectsContinue);
  else refuseMethod(request, response, "POST");
}

function read(request: IncomingMessage, response: ServerResponse, path: string, to: Destinations): void {
  const found = find(path, to);
  if (found === undefined) refuseAddress(request, response);
  else answer(response, found.status, open, found.text());
}

/** What a GET of the address answers, or undefined where there is nothing. */
function find(path: string, to: Destinations): { status: number; text: () => string } | undefined {
  if (path === "/healthz") return { status: 200, text: () => '{"alive":true}' };
  if (path === "/readyz") {
    const readiness = to.readiness();
    return { status: readiness.ready ? 200 : 503, text: () => JSON.stringify(readiness) };
  }
  if (path === "/contracts") return { status: 200, text: () => to.contracts.all };
  const name = /^\/contracts\/([a-z0-9_]+)$/.exec(path)?.[1];
  const contract = name === undefined ? undefined : to.contracts.find(name);
  return contract === undefined ? undefined : { status: 200, text: () => contract };
}

function refuseAddress(request: IncomingMessage, response: ServerResponse): void {
  refuse(request, response, new WeirError("not_found", "There is nothing at this address."), open);
}

function refuseMethod(request: IncomingMessage, response: ServerResponse, allow: string): void {
  const error = new WeirError(
    "method_not_allowed",
    `${request.method ?? "This method"} is not allowed here.`,
  );
  refuse(request, response, error, { ...open, allow });
}
