import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { WeirError } from "@weir/contract";
import { dutyOwner } from "../processes/lock.ts";
import { readInstanceFile } from "../processes/run-files.ts";
import type { InstanceFile } from "../processes/run-files.ts";
import type { ApiAddress } from "./request.ts";

export interface FoundInstance {
  readonly address: ApiAddress;
  readonly file: InstanceFile;
}

/** How long an instance that has just taken the data directory may take to say where it is. */
const announceMs = 10_000;

/**
 * The instance whose engine runs on a data directory.
 *
 * @returns undefined when none does, so that the data can be opened directly
 * @throws WeirError `not_running` when one holds the directory and never says where it is
 */
export async function findInstance(dataDir: string): Promise<FoundInstance | undefined> {
  const runDir = join(dataDir, "run");
  const deadline = performance.now() + announceMs;
  for (;;) {
    const owner = await dutyOwner(runDir, "engine");
    if (owner === undefined) return undefined;
    for (const name of ["weir.json", "engine.json"] as const) {
      const file = await readInstanceFile(runDir, name);
      // The socket before the URL: it needs no port, and no collector in between.
      if (file?.pid === owner.pid && file.socket !== undefined)
        return { address: { socket: file.socket }, file };
    }
    if (performance.now() > deadline) {
      throw new WeirError(
        "not_running",
        `Process ${owner.pid} holds the data directory, but serves no API.`,
        {
          where: runDir,
          remedy: "It may be a weir drain; wait until it ends, or see its log.",
        },
      );
    }
    await delay(20);
  }
}
