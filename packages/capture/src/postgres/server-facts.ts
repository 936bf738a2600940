import { WeirError } from "@weir/contract";
import type { Wire } from "./wire.ts";

/** What has to be known of a server before anything else is asked. */
export interface ServerFacts {
  /** 180004 for 18.4. */
  readonly version: number;
  readonly versionText: string;
  readonly walLevel: string;
  /** Identifies the cluster, also after a copy of it was promoted. */
  readonly system: string;
  readonly database: string;
  readonly standby: boolean;
  readonly encoding: string;
  readonly role: string;
  /** 0: none. */
  readonly senderTimeoutMs: number;
}

/** The oldest version with logical replication, and the newest that this was tested with. */
export const oldestVersion = 100000;
export const newestMajor = 18;

export async function serverFacts(wire: Wire): Promise<ServerFacts> {
  const [row = []] = await wire.query(`
    SELECT current_setting('server_version_num'), current_setting('server_version'), current_setting('wal_level'),
      (SELECT system_identifier FROM pg_control_system()), current_database(), pg_is_in_recovery(),
      current_setting('server_encoding'), current_user,
      (SELECT setting FROM pg_settings WHERE name = 'wal_sender_timeout')`);
  const text = (i: number): string => row[i] ?? "";
  return {
    version: Number(text(0)),
    versionText: text(1),
    walLevel: text(2),
    system: text(3),
    database: text(4),
    standby: text(5) === "t",
    encoding: text(6),
    role: text(7),
    senderTimeoutMs: Number(text(8)),
  };
}

/**
 * What makes capturing impossible, whatever the tables.
 *
 * @returns undefined where it is possible
 */
export function unfitServer(facts: ServerFacts, where: string): WeirError | undefined {
  if (facts.version < oldestVersion) {
    return new WeirError(
      "postgres_version",
      `The server is PostgreSQL ${facts.versionText}; Weir needs 10 or newer.`,
      { where },
    );
  }
  if (facts.standby) {
    return new WeirError("postgres_standby", "The server is a standby, which takes no publications.", {
      where,
    });
  }
  if (facts.walLevel !== "logical") {
    return new WeirError(
      "postgres_wal_level",
      `wal_level is ${facts.walLevel}; logical replication needs logical.`,
      {
        where,
      },
    );
  }
  return undefined;
}
