/** A process that erases Jane from a project on a data directory, until it is killed. It says `erased`. */
import { writeSync } from "node:fs";
import { directoryStore } from "@weir/log";
import { Engine } from "../engine.ts";
import * as personal from "./erase-private.fixture.ts";
import * as shop from "./erase-shop.fixture.ts";

const dataDir = process.argv[2] ?? "";
const { asked, program } = process.argv[3] === "private" ? personal : shop;
const store = directoryStore(`${dataDir}/log`, { minFreeBytes: 0 });
const engine = await Engine.open({ dataDir, program, store, settings: { memoryLimit: "512MB", lanes: 1 } });
engine.start();
await engine.erasures.erase(asked);
writeSync(1, `${JSON.stringify({ kind: "erased" })}\n`);
await engine.stop();
