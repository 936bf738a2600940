import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { chmodSync, chownSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { postgresBinaries, reachable, serverUser } from "./binaries.ts";
import type { PostgresMajor, ServerUser } from "./binaries.ts";

export type { PostgresMajor } from "./binaries.ts";

export interface PostgresServerOptions {
  /** Default 18. */
  readonly major?: PostgresMajor;
  /** Settings of the server, as in `postgresql.conf`, above those for logical replication. */
  readonly settings?: Readonly<Record<string, string | number>>;
  /** Where to make its folder; default the system's folder for temporary files. Keep it short: a socket lies in it. */
  readonly below?: string;
  /** Options of `initdb` in place of `--encoding=UTF8`. */
  readonly initdb?: readonly string[];
}

const defaults: Readonly<Record<string, string | number>> = {
  wal_level: "logical",
  max_replication_slots: 10,
  max_wal_senders: 20,
  max_connections: 60,
  max_prepared_transactions: 5,
  shared_buffers: "32MB",
  // Its data is thrown away with it, and it outlives its own crashes: only the machine's would lose it.
  fsync: "off",
  full_page_writes: "off",
  autovacuum_naptime: "1min",
  log_min_messages: "warning",
  listen_addresses: "",
};

/** What says why there is no server to be had here, or undefined when there is one. */
export function postgresMissing(major: PostgresMajor): string | undefined {
  return postgresBinaries(major) === undefined
    ? `needs PostgreSQL ${major}, which npm has no package of for ${process.platform}-${process.arch}`
    : undefined;
}

/**
 * A PostgreSQL server of its own, in a folder of its own, reached through a Unix socket there. It is gone when the
 * process that started it ends normally; `close` removes its folder too.
 */
export class PostgresServer {
  readonly major: PostgresMajor;
  /** Holds the data (`data`) and the socket. */
  readonly directory: string;
  readonly #bin: string;
  readonly #user: ServerUser | undefined;
  readonly #removeCopy: () => void;
  readonly #settings: Record<string, string | number>;
  #process: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #noise = "";
  readonly #atExit = (): void => void this.#process?.kill("SIGQUIT");

  private constructor(major: PostgresMajor, directory: string, options: PostgresServerOptions) {
    const binaries = postgresBinaries(major);
    if (binaries === undefined) throw new Error(postgresMissing(major));
    this.major = major;
    this.directory = directory;
    this.#user = serverUser();
    const place = reachable(binaries, this.#user);
    this.#bin = join(place.directory, "bin");
    this.#removeCopy = place.remove;
    this.#settings = { ...defaults, ...options.settings };
  }

  /**
   * Makes a cluster (superuser `postgres`, database `postgres`, no passwords) and starts it; about a second.
   *
   * @throws Error where there is no server for this platform (see `postgresMissing`), or it does not start
   */
  static async start(options: PostgresServerOptions = {}): Promise<PostgresServer> {
    const directory = mkdtempSync(join(options.below ?? tmpdir(), "weir-pg-"));
    const server = new PostgresServer(options.major ?? 18, directory, options);
    if (server.#user !== undefined) chownSync(directory, server.#user.uid, server.#user.gid);
    chmodSync(directory, 0o755);
    const args = ["--pgdata", server.data, "--username=postgres", "--auth=trust", "--no-locale", "--nosync"];
    const made = spawnSync(
      join(server.#bin, "initdb"),
      [...args, ...(options.initdb ?? ["--encoding=UTF8"])],
      {
        ...server.#user,
        cwd: directory,
        encoding: "utf8",
      },
    );
    if (made.status !== 0) throw new Error(`initdb: ${made.stderr}${made.error?.message ?? ""}`);
    process.once("exit", server.#atExit);
    await server.run();
    return server;
  }

  get data(): string {
    return join(this.directory, "data");
  }

  /** The socket that clients connect to. */
  get socket(): string {
    return join(this.directory, ".s.PGSQL.5432");
  }

  /** What the server wrote to its log lately. */
  get log(): string {
    return this.#noise;
  }

  url(database = "postgres", user = "postgres"): string {
    return `postgres://${user}@localhost:5432/${database}?host=${encodeURIComponent(this.directory)}`;
  }

  /** Starts the server, with settings changed if some are given; resolves when it takes connections. */
  async run(settings: Readonly<Record<string, string | number>> = {}): Promise<void> {
    Object.assign(this.#settings, settings);
    const args = Object.entries({ ...this.#settings, unix_socket_directories: this.directory });
    const child = spawn(
      join(this.#bin, "postgres"),
      ["-D", this.data, ...args.flatMap(([name, value]) => ["-c", `${name}=${value}`])],
      { ...this.#user, cwd: this.directory, stdio: ["ignore", "ignore", "pipe"] },
    );
    this.#process = child;
    this.#exited = new Promise((resolve) => void child.once("close", () => resolve()));
    await new Promise<void>((resolve, reject) => {
      child.stderr?.on("data", (bytes: Buffer) => {
        this.#noise = (this.#noise + bytes.toString()).slice(-100_000);
        if (bytes.includes("ready to accept connections")) resolve();
      });
      child.once("error", reject);
      child.once("close", (code) =>
        reject(new Error(`postgres ended with ${code}: ${this.#noise.slice(-2000)}`)),
      );
    });
  }

  /**
   * Ends it: `fast` disconnects everybody and writes a checkpoint, `immediate` is a crash, `kill` is SIGKILL of its
   * first process, after which the others end by themselves.
   */
  async stop(how: "fast" | "immediate" = "fast"): Promise<void> {
    this.#process?.kill(how === "fast" ? "SIGINT" : "SIGQUIT");
    await this.#exited;
    this.#process = undefined;
  }

  /** Stops the server as in a crash and removes all it made. */
  async close(): Promise<void> {
    process.off("exit", this.#atExit);
    await this.stop("immediate");
    this.#removeCopy();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
