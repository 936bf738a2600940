// Entry of every npm script: installs what is missing, then hands over. Plain JavaScript, because it runs before
// anything is installed.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { dirname, join } from "node:path";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [script, ...args] = process.argv.slice(2);

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(
    `Weir needs Node 20.19 or newer; this is ${process.version}. Install a newer Node and run again.`,
  );
  process.exit(1);
}

// npm writes node_modules/.package-lock.json last, so an interrupted install is not taken for a whole one.
if (!existsSync(join(root, "node_modules", ".package-lock.json"))) {
  console.error("Installing packages (npm ci) ...");
  const install = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: root, stdio: ["ignore", 2, 2] });
  if (install.status !== 0) {
    console.error("npm ci failed; its output above says why. Nothing was started.");
    process.exit(1);
  }
}

const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
const commands = {
  test: [vitest, "run", "--config", "vitest.config.ts", ...args],
  "test:long": [vitest, "run", "--config", "vitest.long.config.ts", ...args],
  demo: ["--import", "tsx", join(root, "examples", "pulsecart", "demo.ts"), ...args],
  bench: ["--import", "tsx", join(root, "bench", "main.ts"), ...args],
};
const command = commands[script];
if (command === undefined) {
  console.error(`Unknown script "${script}". Known: ${Object.keys(commands).join(", ")}.`);
  process.exit(2);
}
// Ctrl-C goes to the child too, which may have to finish something first; its exit code is the answer.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});
const child = spawnSync(process.execPath, command, { cwd: root, stdio: "inherit" });
process.exit(child.status ?? (child.signal === "SIGINT" ? 130 : 1));
