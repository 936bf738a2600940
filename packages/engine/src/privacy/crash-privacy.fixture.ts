/** Runs an engine with personal fields over a log until it is killed; or, told whom, destroys subjects. It says `drained` and `destroyed`. */
import { writeSync } from "node:fs";
import { directoryStore } from "@weir/log";
import { Engine } from "../engine.ts";
import { personalProgram } from "./personal.fixture.ts";

const [dataDir = "", ...subjects] = process.argv.slice(2);
const store = directoryStore(`${dataDir}/log`, { minFreeBytes: 0 });
const settings = { memoryLimit: "512MB", lanes: 1, commitAge: 1 };
// Few enough that every batch makes a run of the vault's index.
const internals = { recentIds: 8 };
const engine = await Engine.open({ dataDir, program: personalProgram, store, settings }, internals);
if (subjects.length > 0) await engine.vault?.destroySubjects(subjects);
else await engine.drain({ timeoutMs: 60_000 });
writeSync(1, `${JSON.stringify({ kind: "done" })}\n`);
await engine.stop();
