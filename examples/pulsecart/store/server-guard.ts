import { spawn } from "node:child_process";

/** Waits for the end of its input, then for that of the server, which it asks for; then removes the folder. */
const script = `
read -r _
if [ -f "$1/data/postmaster.pid" ]; then
  server=$(head -n 1 "$1/data/postmaster.pid")
  kill -QUIT "$server"
  while kill -0 "$server"; do sleep 0.1; done
fi
rm -rf "$1"
`;

/**
 * Sees to it that a PostgreSQL server and its folder are gone when this process is, even if it is killed: a shell whose
 * input ends then. Nothing that the terminal sends reaches it.
 *
 * @param directory of the server, which holds nothing else
 */
export function guardServer(directory: string): void {
  const guard = spawn("/bin/sh", ["-c", script, "sh", directory], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  guard.stdin.on("error", () => {});
  guard.unref();
}
