// Entry of the processes that `weir up` forks. The argument (collector, engine, checker) is for readers of ps(1).
// The first thing a child does is to listen for the death of its supervisor, before the slow imports below: a
// supervisor that is killed while its children start must leave no orphan.
let onDisconnect = () => process.exit(0);
process.on("disconnect", () => onDisconnect());
if (!process.connected) {
  process.stderr.write("This file is started by weir up, not by hand.\n");
  process.exit(2);
}
// A terminal's Ctrl-C and a service manager's SIGTERM reach the whole process group. The order of stopping (collectors,
// then a drain, then the engine) is the supervisor's, so children leave signals to it.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});

// Logs that nobody reads any more must not end a process.
process.stderr.on("error", () => {});

// Messages that arrive before the modules below are loaded wait here.
const early = [];
const hold = (message, handle) => early.push([message, handle]);
process.on("message", hold);

const { register } = await import("tsx/esm/api");
const loaded = [];
register({ tsconfig: false, onImport: (url) => void loaded.push(url) });
const { runChild } = await import("../src/processes/child.ts");
await runChild({
  loadedModules: () => loaded,
  onDisconnect: (listener) => {
    onDisconnect = listener;
  },
  takeMessages: (listener) => {
    process.off("message", hold);
    process.on("message", listener);
    for (const [message, handle] of early.splice(0)) listener(message, handle);
  },
});
