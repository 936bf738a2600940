// Runs a command and ends it when the demo is gone, however the demo ended: the channel to its parent closes then.
// Arguments: the script and its arguments. Plain JavaScript, as it must start at once and needs nothing.
import { spawn } from "node:child_process";

const child = spawn(process.execPath, process.argv.slice(2), { stdio: ["ignore", "inherit", "inherit"] });
const stop = () => void child.kill("SIGTERM");
process.on("disconnect", stop);
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, stop);
child.on("error", () => process.exit(1));
child.on("exit", (code) => process.exit(code ?? 1));
if (!process.connected) stop();
