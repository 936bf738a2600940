/**
 * Loaded into a process before its program (`node --import`): notes what the process makes durable through Node, by
 * name of file and inode, so that `losePower` can take everything else away after the process was killed. What
 * native code syncs by itself (DuckDB its state) is not seen.
 *
 * `WEIR_TEST_DURABLE` names the directory to keep notes in; `WEIR_TEST_LYING_SYNC` is a planted defect: what has a path
 * that this regular expression matches is said to be durable and is not.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { identityOf, meaningOf, monotonicUs } from "./power-loss.ts";
import type { Durable } from "./power-loss.ts";

const notes = process.env["WEIR_TEST_DURABLE"] ?? "";
const lying = new RegExp(process.env["WEIR_TEST_LYING_SYNC"] || "^$");
let blobs = 0;

function note(entry: Durable): void {
  fs.appendFileSync(join(notes, "journal"), `${JSON.stringify(entry)}\n`);
}

/** What syncing this descriptor makes durable, taken before the sync, so that nothing later gets into it. */
function taken(fd: number): Durable | undefined {
  const path = fs.readlinkSync(`/proc/self/fd/${fd}`);
  if (lying.test(path)) return undefined;
  const atUs = monotonicUs();
  const stat = fs.fstatSync(fd, { bigint: true });
  if (stat.isDirectory()) {
    const names: Record<string, string> = {};
    for (const name of fs.readdirSync(path)) {
      const meaning = meaningOf(join(path, name));
      if (meaning !== undefined) names[name] = meaning;
    }
    return { kind: "names", atUs, directory: path, names };
  }
  const blob = `${process.pid}-${++blobs}`;
  fs.copyFileSync(`/proc/self/fd/${fd}`, join(notes, blob));
  return { kind: "content", atUs, file: identityOf(stat), blob };
}

if (notes !== "") {
  const { fsyncSync, fdatasyncSync } = fs;
  const recorded = (sync: (fd: number) => void) => (fd: number) => {
    const durable = taken(fd);
    sync(fd);
    if (durable !== undefined) note(durable);
  };
  fs.fsyncSync = recorded(fsyncSync);
  fs.fdatasyncSync = recorded(fdatasyncSync);
  syncBuiltinESMExports();

  const handle = await fs.promises.open("/", "r");
  const prototype = Object.getPrototypeOf(handle) as typeof handle;
  await handle.close();
  for (const name of ["sync", "datasync"] as const) {
    const original = prototype[name];
    prototype[name] = async function sync(this: typeof handle): Promise<void> {
      const durable = taken(this.fd);
      await original.call(this);
      if (durable !== undefined) note(durable);
    };
  }
}
