/** A process that erases Jane from the shop on a data directory, until it is killed. It says `erased`. */
import { writeSync } from "node:fs";
import { directoryStore } from "@weir/log";
import { Engine } from "../engine.ts";
import { asked, program } from "./erase-shop.fixture.ts";

const dataDir = process.argv[2] ?? "";
const store = directoryStore(`${dataDir}/log`, { minFreeBytes: 0 });
const engine = await Engine.open({ dataDir, program, store, settings: { memoryLimit: "512MB", lanes: 1 } });
engine.start();
await engine.erasures.erase(asked);
writeSync(1, `${JSON.stringify({ kind: "erased" })}\n`);
await engine.stop();
