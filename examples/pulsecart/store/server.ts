import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PostgresServer } from "@weir/testkit/postgres";

/** Waits for the end of its input, then for that of the server, which it asks for; then removes the folder. */
const guard = `
read -r _
for pid in "$1"/*/data/postmaster.pid; do
  [ -f "$pid" ] || continue
  server=$(head -n 1 "$pid")
  kill -QUIT "$server"
  while kill -0 "$server"; do sleep 0.1; done
done
rm -rf "$1"
`;

/** A PostgreSQL server that is gone, with its folder, when this process is, even if that is killed. */
export class GuardedServer {
  readonly #folder: string;
  #server: PostgresServer | undefined;

  constructor() {
    // A short name: a socket lies in it, and paths of sockets end at 103 characters.
    this.#folder = mkdtempSync(join(tmpdir(), `pulsecart-${process.pid}-`));
    // PostgreSQL does not run as root; as whom it runs then must get in.
    chmodSync(this.#folder, 0o755);
    // A shell whose input ends when this process does. Nothing that the terminal sends reaches it.
    const shell = spawn("/bin/sh", ["-c", guard, "sh", this.#folder], {
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
    });
    shell.stdin.on("error", () => {});
    shell.unref();
  }

  /** @returns the address of its database */
  async start(): Promise<string> {
    this.#server = await PostgresServer.start({ below: this.#folder });
    return this.#server.url();
  }

  async close(): Promise<void> {
    await this.#server?.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
