import { chmodSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { WeirError } from "@weir/contract";
import type { Engine } from "@weir/engine";
import type { StatusReport } from "../client/backend.ts";
import { readJsonObject, refuseOtherSites, sendError, sendJson } from "./http-json.ts";
import type { EngineSettingsMessage } from "./messages.ts";
import { readInstanceFile } from "./run-files.ts";
import type { InstanceFile } from "./run-files.ts";

const defaultDrainMs = 60_000;
const longestMs = 24 * 3_600_000;

/** The engine's API on its Unix socket; the collector passes `/api/*` on to it. */
export class EngineServer {
  readonly #engine: Engine;
  readonly #settings: Pick<EngineSettingsMessage, "runDir" | "localOnly">;
  readonly #server: Server;

  constructor(engine: Engine, settings: Pick<EngineSettingsMessage, "runDir" | "localOnly">) {
    this.#engine = engine;
    this.#settings = settings;
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  /** Listens; a socket file that a dead predecessor left is replaced. Only this user may connect. */
  async listen(socketPath: string): Promise<void> {
    rmSync(socketPath, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(socketPath, resolve);
    });
    chmodSync(socketPath, 0o600);
  }

  /** Answers what has been asked already, then closes. */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeIdleConnections();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      refuseOtherSites(request, this.#settings.localOnly);
      sendJson(response, 200, await this.#result(request));
    } catch (error) {
      sendError(response, error);
    }
  }

  async #result(request: IncomingMessage): Promise<unknown> {
    const url = new URL(request.url ?? "/", "http://engine");
    const path = url.pathname.replace(/\/+$/, "");
    if (path.startsWith("/api/quarantine/")) {
      allow(request, "GET");
      return await this.#engine.quarantine.show(decoded(path.slice("/api/quarantine/".length)));
    }
    switch (path) {
      case "/api/status":
        allow(request, "GET");
        return await this.#status();
      case "/api/tables":
        allow(request, "GET");
        return { tables: await queryableTables(this.#engine) };
      case "/api/query":
        allow(request, "GET", "POST");
        return await this.#query(
          request.method === "POST" ? await readJsonObject(request) : parametersOf(url),
        );
      case "/api/quarantine":
        allow(request, "GET");
        return { records: await this.#engine.quarantine.list(filterOf(url)) };
      case "/api/drain": {
        allow(request, "POST");
        const { timeoutMs } = await readJsonObject(request);
        return await this.#engine.drain({
          timeoutMs: integer("timeoutMs", timeoutMs, longestMs) ?? defaultDrainMs,
        });
      }
      case "/api/verify":
        allow(request, "GET");
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
    };
  }

  async #query(parameters: Record<string, unknown>): Promise<unknown> {
    const { sql } = parameters;
    if (typeof sql !== "string" || sql.trim() === "") {
      throw new WeirError("invalid_usage", "The request has no SQL statement.", {
        remedy: 'POST {"sql": "SELECT ..."}, or GET /api/query?sql=...',
      });
    }
    const maxRows = integer("maxRows", parameters["maxRows"], 10_000_000);
    const timeoutMs = integer("timeoutMs", parameters["timeoutMs"], longestMs);
    return await this.#engine.query(sql, {
      ...(maxRows === undefined ? {} : { maxRows }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
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

function allow(request: IncomingMessage, ...methods: string[]): void {
  if (methods.includes(request.method ?? "")) return;
  throw new WeirError("method_not_allowed", `This address takes ${methods.join(" or ")}.`);
}

function parametersOf(url: URL): Record<string, unknown> {
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

/** A whole number from 0 to `max`, given as a JSON number or as digits; undefined where there is none. */
function integer(name: string, value: unknown, max: number): number | undefined {
  if (value === undefined) return undefined;
  const number = typeof value === "string" && /^\d{1,16}$/.test(value) ? Number(value) : value;
  if (typeof number === "number" && Number.isInteger(number) && number >= 0 && number <= max) return number;
  throw new WeirError("invalid_usage", `${name} must be a whole number from 0 to ${max}.`);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
