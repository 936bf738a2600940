import type { Duplex } from "node:stream";
import { WeirError } from "@weir/contract";
import { Client } from "pg";
import { ConnectionLost, ServerError, Wire } from "./wire.ts";

const connectTimeoutMs = 15_000;

/**
 * What texts of values depend on, the same in every session, so that a row that is read and a row that is streamed have
 * the same texts. The values are what PostgreSQL's own subscriber sets (libpqwalreceiver), and UTC.
 *
 * `row_security = off` makes a query fail that policies would silently take rows from.
 */
const sessionSettings = [
  // A database without an encoding may hold bytes that are no text. The server refuses to send them as UTF-8, so there they
  // come as they are, and what reads them tells them from text.
  `SELECT pg_catalog.set_config('client_encoding',
    CASE pg_catalog.getdatabaseencoding() WHEN 'SQL_ASCII' THEN 'SQL_ASCII' ELSE 'UTF8' END, false)`,
  "SET standard_conforming_strings = on",
  "SET datestyle = 'ISO, YMD'",
  "SET timezone = 'UTC'",
  "SET intervalstyle = 'postgres'",
  "SET extra_float_digits = 3",
  "SET bytea_output = 'hex'",
  "SET lc_monetary = 'C'",
  "SET search_path = pg_catalog",
  "SET row_security = off",
  "SET statement_timeout = 0",
  "SET idle_in_transaction_session_timeout = 0",
  "SET lock_timeout = '10s'",
  "SET client_min_messages = 'error'",
].join("; ");

export interface ConnectOptions {
  readonly url: string;
  /** Shown in pg_stat_activity. */
  readonly name: string;
  /** A walsender, which may also run SQL. */
  readonly replication?: boolean;
}

/**
 * Connects, authenticates (all that `pg` can: passwords, SCRAM, certificates, .pgpass) and settles the session.
 *
 * @throws WeirError `postgres_unreachable`, `postgres_refused`
 */
export async function connect({ url, name, replication = false }: ConnectOptions): Promise<Wire> {
  const settings = {
    connectionString: url,
    application_name: name,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    connectionTimeoutMillis: connectTimeoutMs,
    ...(replication ? { replication: "database" } : {}),
  };
  const client = new Client(settings) as Client & { readonly connection: { readonly stream: Duplex } };
  // After the connection stands its errors are the wire's; before, connect() rejects with them.
  client.on("error", () => undefined);
  try {
    await client.connect();
  } catch (cause) {
    client.connection.stream.destroy();
    throw connectError(url, cause);
  }
  const socket = client.connection.stream;
  socket.removeAllListeners("data");
  const wire = new Wire(socket);
  try {
    await wire.query(sessionSettings);
  } catch (cause) {
    await wire.close();
    throw connectError(url, cause);
  }
  return wire;
}

/** Where a url leads, without its password. */
export function placeOf(url: string): string {
  if (!URL.canParse(url)) return "the database";
  const parsed = new URL(url);
  const host = parsed.searchParams.get("host") ?? parsed.host;
  return `${parsed.username === "" ? "" : `${parsed.username}@`}${host}${parsed.pathname}`;
}

function connectError(url: string, cause: unknown): WeirError {
  const where = placeOf(url);
  const { message, code } = cause as Error & { code?: string };
  // SQLSTATE class 28: invalid authorization; 3D000: no such database; 42501: not permitted (replication).
  const refused = typeof code === "string" && /^(28...|3D000|42501|0A000)$/.test(code);
  if (refused) {
    return new WeirError("postgres_refused", `The database refuses the connection: ${message}`, {
      where,
      cause,
    });
  }
  const said = message === "" ? ((cause as { code?: string }).code ?? "no reason given") : message;
  return new WeirError("postgres_unreachable", `The database cannot be connected to: ${said}`, {
    where,
    cause,
  });
}

/** What an operator is told of an error on a connection that stood. */
export function sourceError(url: string, cause: unknown): unknown {
  if (cause instanceof WeirError) return cause;
  if (cause instanceof ServerError) {
    const detail = cause.detail === undefined ? "" : ` (${cause.detail})`;
    return new WeirError("postgres_failed", `The database says: ${cause.message}${detail} [${cause.code}]`, {
      where: placeOf(url),
      cause,
    });
  }
  if (cause instanceof ConnectionLost) {
    return new WeirError(
      "postgres_unreachable",
      `The connection to the database was lost: ${cause.message}`,
      {
        where: placeOf(url),
        cause,
      },
    );
  }
  return cause;
}
