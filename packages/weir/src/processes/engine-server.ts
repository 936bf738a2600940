import { createServer } from "node:http";
import { dirname } from "node:path";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { lookupSocketOf } from "@weir/collect";
import type { LookupQuestion } from "@weir/collect";
import { WeirError } from "@weir/contract";
import type { Engine } from "@weir/engine";
import { demand } from "@weir/govern";
import type { Caller, Governance } from "@weir/govern";
import type { StatusReport } from "../client/backend.ts";
import { readBackfills } from "../backfill/state.ts";
import { ApiLimits } from "./api-limits.ts";
import type { ApiLimitsByRole } from "./api-limits.ts";
import { ChangeStreams } from "./change-streams.ts";
import type { StreamLimits, TableFor } from "./change-streams.ts";
import { callerOf, governed, viaCollector } from "./govern-routes.ts";
import {
  allow,
  errorReply,
  integer,
  readJsonObject,
  refuseOtherSites,
  sendJson,
  sendReply,
} from "./http-json.ts";
import type { Asked, Reply } from "./http-json.ts";
import { lookupParameters, rowsReply } from "./lookup-request.ts";
import { LookupServer, listenAlone } from "./lookup-server.ts";
import type { EngineSettingsMessage } from "./messages.ts";
import { revealRequest, shownRecord } from "./privacy-routes.ts";
import { sendQuery } from "./query-reply.ts";
import { readInstanceFile } from "./run-files.ts";
import { erased } from "./erase-routes.ts";
import { tasked } from "./task-routes.ts";
import type { InstanceFile } from "./run-files.ts";

const defaultDrainMs = 60_000;
const longestMs = 24 * 3_600_000;
/** The collectors keep their connections. */
const keepAliveMs = 60_000;

export interface EngineServerParts {
  readonly engine: Engine;
  readonly governance: Governance;
  /** Beside the defaults. */
  readonly apiLimits?: ApiLimitsByRole | undefined;
}

const tablePath = /^\/api\/tables\/([^/]+)(\/changes)?$/;

/** The engine's API on its Unix socket; the collector passes `/api/*` on to it. */
export class EngineServer {
  readonly #engine: Engine;
  readonly #governance: Governance;
  readonly #limits: ApiLimits;
  readonly #settings: Pick<EngineSettingsMessage, "runDir" | "localOnly">;
  readonly #streams: ChangeStreams;
  readonly #server: Server;
  readonly #lookups: LookupServer;

  constructor(
    { engine, governance, apiLimits }: EngineServerParts,
    settings: Pick<EngineSettingsMessage, "runDir" | "localOnly">,
    limits?: StreamLimits,
  ) {
    this.#engine = engine;
    this.#governance = governance;
    this.#limits = new ApiLimits(apiLimits);
    this.#settings = settings;
    this.#streams = new ChangeStreams(engine, limits);
    this.#lookups = new LookupServer(this.#lookUp);
    this.#server = createServer(
      { keepAliveTimeout: keepAliveMs },
      (request, response) => void this.#answer(request, response),
    );
  }

  /** Listens; a socket file that a dead predecessor left is replaced. Only this user may connect. */
  async listen(socketPath: string): Promise<void> {
    await listenAlone(this.#server, socketPath);
    await this.#lookups.listen(lookupSocketOf(socketPath));
  }

  /** Answers what has been asked already, ends the streams, then closes. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    await Promise.all([this.#streams.close(), this.#lookups.close()]);
    this.#server.closeIdleConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const { caller, url, path } = this.#admit(request, request.url);
      const [, table, rest] = tablePath.exec(path) ?? [];
      if (table !== undefined) {
        allow(request, "GET");
        demand(caller, "read");
        const of = { table: decoded(table), role: caller.role };
        if (rest === undefined) sendReply(response, await this.#rows(request, of, url));
        else await this.#changes(request, response, of, url);
      } else if (path === "/api/query") await this.#query(request, response, url, caller);
      else {
        const answer =
          (await governed(this.#governance, caller, request, url)) ??
          (await tasked(this.#engine, this.#governance, caller, request, url)) ??
          (await erased(this.#engine, this.#governance, caller, request, url));
        const value = answer === undefined ? await this.#result(request, url, path, caller) : answer.value;
        sendJson(response, 200, value);
      }
    } catch (error) {
      if (response.headersSent) response.destroy();
      else sendReply(response, errorReply(error));
    }
  }

  /** Answers what a collector asks beside HTTP. */
  readonly #lookUp = async ({ url: asked, headers }: LookupQuestion): Promise<Reply> => {
    try {
      const request = { headers: { ...headers, [viaCollector]: "1" } };
      const { caller, url, path } = this.#admit(request, asked);
      const [, table = ""] = tablePath.exec(path) ?? [];
      demand(caller, "read");
      return await this.#rows(request, { table: decoded(table), role: caller.role }, url);
    } catch (error) {
      return errorReply(error);
    }
  };

  /** Lets a request in. @throws WeirError for who must not ask, and for addresses that are none */
  #admit(request: Asked, asked = "/"): { caller: Caller; url: URL; path: string } {
    const { localOnly } = this.#settings;
    refuseOtherSites(request, localOnly);
    const caller = callerOf(this.#governance, request, localOnly);
    this.#limits.request(caller);
    const url = new URL(asked, "http://engine");
    refuseNul(url);
    return { caller, url, path: url.pathname.replace(/\/+$/, "") };
  }

  async #rows({ headers }: Asked, of: TableFor, url: URL): Promise<Reply> {
    const parameters = lookupParameters(url.searchParams);
    return rowsReply(headers["if-none-match"], await this.#engine.lookup(of.table, parameters, of.role));
  }

  async #changes(request: IncomingMessage, response: ServerResponse, of: TableFor, url: URL): Promise<void> {
    await this.#streams.serve(request, response, of, url.searchParams.get("since") ?? undefined);
  }

  async #result(request: IncomingMessage, url: URL, path: string, caller: Caller): Promise<unknown> {
    if (path.startsWith("/api/quarantine/")) {
      allow(request, "GET");
      demand(caller, "quarantine");
      const id = decoded(path.slice("/api/quarantine/".length));
      return await shownRecord(this.#engine, this.#governance, caller, id);
    }
    switch (path) {
      case "/api/status":
        allow(request, "GET");
        demand(caller, "status");
        return await this.#status();
      case "/api/tables":
        allow(request, "GET");
        demand(caller, "read");
        return { tables: await queryableTables(this.#engine) };
      case "/api/quarantine":
        allow(request, "GET");
        demand(caller, "quarantine");
        await this.#governance.record(caller, "quarantine.list", null, parametersOf(url));
        return { records: await this.#engine.quarantine.list(filterOf(url)) };
      case "/api/drain": {
        allow(request, "POST");
        demand(caller, "operate");
        const { timeoutMs } = await readJsonObject(request);
        await this.#governance.record(caller, "drain", null);
        return await this.#engine.drain({
          timeoutMs: integer("timeoutMs", timeoutMs, longestMs) ?? defaultDrainMs,
        });
      }
      case "/api/trace": {
        allow(request, "GET");
        demand(caller, "query");
        const { id, contract } = parametersOf(url);
        if (id === undefined)
          throw new WeirError("invalid_usage", "Name the record: /api/trace?id=ID&contract=CONTRACT.");
        await this.#governance.record(caller, "trace", id, { contract: contract ?? null });
        const trace = (): ReturnType<Engine["trace"]> => this.#engine.trace(id, contract);
        return { contracts: await this.#limits.query(caller, trace) };
      }
      case "/api/offsets": {
        allow(request, "GET");
        demand(caller, "status");
        const { source = "", writer = "" } = parametersOf(url);
        return { number: await this.#engine.committedSegment(source, writer) };
      }
      case "/api/backfills":
        allow(request, "GET", "POST");
        if (request.method === "GET") {
          demand(caller, "status");
          return { backfills: readBackfills(dirname(this.#settings.runDir)) };
        }
        demand(caller, "operate");
        return await this.#recordBackfill(caller, await readJsonObject(request));
      case "/api/vault/reveal":
        return await revealRequest(this.#engine, this.#governance, caller, request);
      case "/api/verify":
        allow(request, "GET");
        demand(caller, "operate");
        return await this.#engine.verify();
      default:
        throw new WeirError("not_found", `There is nothing at ${path}.`, { where: path });
    }
  }

  async #status(): Promise<StatusReport> {
    const startedMs = Date.now() - process.uptime() * 1000;
    return {
      ...(await this.#engine.status()),
      process: {
        pid: process.pid,
        startedAt: new Date(startedMs).toISOString(),
        residentBytes: process.memoryUsage.rss(),
      },
      instance: await this.#instance(),
      backfills: readBackfills(dirname(this.#settings.runDir)),
    };
  }

  /** What the command does on this machine is in the audit log first. */
  async #recordBackfill(
    caller: Caller,
    { action, target, detail }: Readonly<Record<string, unknown>>,
  ): Promise<{ recorded: true }> {
    const isAction = action === "backfill.start" || action === "backfill.cancel";
    if (!isAction || typeof target !== "string" || typeof detail !== "object" || detail === null)
      throw new WeirError("invalid_usage", "This is no action of a backfill.");
    const told = Object.entries(detail).map(([name, value]) => [name, String(value)]);
    await this.#governance.record(caller, action, target, Object.fromEntries(told) as Record<string, string>);
    return { recorded: true };
  }

  async #query(request: IncomingMessage, response: ServerResponse, url: URL, caller: Caller): Promise<void> {
    allow(request, "GET", "POST");
    demand(caller, "query");
    const { sql, ...rest } = request.method === "POST" ? await readJsonObject(request) : parametersOf(url);
    if (typeof sql !== "string" || sql.trim() === "") {
      throw new WeirError("invalid_usage", "The request has no SQL statement.", {
        remedy: 'POST {"sql": "SELECT ..."}, or GET /api/query?sql=...',
      });
    }
    const maxRows = integer("maxRows", rest["maxRows"], 10_000_000);
    const timeoutMs = integer("timeoutMs", rest["timeoutMs"], longestMs);
    await this.#governance.record(caller, "query", null, { sql });
    const options = {
      role: caller.role,
      ...(maxRows === undefined ? {} : { maxRows }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    };
    await this.#limits.query(caller, () => sendQuery(response, this.#engine, sql, options));
  }

  /** What the supervisor last wrote about its processes; the file of another supervisor is not about this engine. */
  async #instance(): Promise<InstanceFile | null> {
    for (const name of ["weir.json", "engine.json"] as const) {
      const file = await readInstanceFile(this.#settings.runDir, name);
      if (file?.pid === process.ppid) return file;
    }
    return null;
  }
}

/** Every table and view that queries can name, with columns in order; the system's own are named `weir.<table>`. */
async function queryableTables(
  engine: Engine,
): Promise<{ name: string; columns: { name: string; type: string }[] }[]> {
  const { rows } = await engine.query(
    `SELECT CASE schema_name WHEN 'main' THEN table_name ELSE schema_name || '.' || table_name END, column_name, data_type
     FROM duckdb_columns() WHERE database_name = 'db' AND schema_name IN ('main', 'weir')
     ORDER BY schema_name, table_name, column_index`,
    { maxRows: 1_000_000 },
  );
  const tables = new Map<string, { name: string; type: string }[]>();
  for (const [table, name, type] of rows as [string, string, string][]) {
    const columns = tables.get(table) ?? [];
    columns.push({ name, type });
    tables.set(table, columns);
  }
  return [...tables].map(([name, columns]) => ({ name, columns }));
}

/** Neither SQL nor a name has one, and what a statement has behind it would not be read. */
function refuseNul(url: URL): void {
  const texts = [decoded(url.pathname), ...[...url.searchParams].flat()];
  if (texts.some((text) => text.includes("\0")))
    throw new WeirError("invalid_usage", "The address has a NUL character.");
}

function parametersOf(url: URL): Record<string, string> {
  return Object.fromEntries(url.searchParams);
}

function filterOf(url: URL): Parameters<Engine["quarantine"]["list"]>[0] {
  const { source, contract, reason, limit, offset } = Object.fromEntries(url.searchParams);
  const most = integer("limit", limit, 10_000);
  const skip = integer("offset", offset, Number.MAX_SAFE_INTEGER);
  return {
    ...(source === undefined ? {} : { source }),
    ...(contract === undefined ? {} : { contract }),
    ...(reason === undefined ? {} : { reason }),
    ...(most === undefined ? {} : { limit: most }),
    ...(skip === undefined ? {} : { offset: skip }),
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
