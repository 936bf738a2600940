#!/usr/bin/env node
// The `weir` command. Plain JavaScript, because it must say something useful on any Node: Weir is written in TypeScript,
// which Node 20 cannot load by itself, so tsx is registered first. The user's project file is loaded by the same hooks.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`Weir needs Node 20.19 or newer; this is ${process.version}.\n`);
  process.exit(70);
}

const { register } = await import("tsx/esm/api");
// No tsconfig.json of the folder the command happens to run in may change how Weir's own files are compiled.
register({ tsconfig: false });

const { main } = await import("../src/cli/main.ts");
const exitCode = await main(process.argv.slice(2));
// A closed pipe (weir query ... | head) must not keep the process, nor a handle that a library left open.
process.stdout.write("", () => process.exit(exitCode));
