import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { ClientLedger } from "../clients/ledger.ts";
import type { ClientsOptions, FromClients, ToClients } from "../clients/messages.ts";
import { DemoFailure } from "./failure.ts";

const script = fileURLToPath(new URL("../clients.ts", import.meta.url));

export interface ClientProgress {
  readonly shopTime: number;
  readonly acknowledged: number;
  readonly pending: number;
}

/** The process that the clients run in. It ends with the demo, and nothing that the terminal sends reaches it. */
export class ClientProcess {
  readonly #child: ChildProcess;
  readonly #ledger: Promise<ClientLedger>;
  /** Resolves once the shop is open and its first visitors are let in. */
  readonly opened: Promise<void>;
  progress: ClientProgress;

  /** @param log file descriptor for what SDKs print */
  constructor(options: ClientsOptions, log: number) {
    this.progress = { shopTime: options.opensAt, acknowledged: 0, pending: 0 };
    this.#child = fork(script, [JSON.stringify(options)], {
      detached: true,
      execArgv: ["--import", import.meta.resolve("tsx")],
      stdio: ["ignore", log, log, "ipc"],
    });
    let open: () => void;
    this.opened = new Promise((resolve) => (open = resolve));
    this.#ledger = new Promise((resolve, reject) => {
      this.#child.on("message", (message: FromClients) => {
        open();
        if (message.type === "progress") this.progress = message;
        else resolve(message.ledger);
      });
      this.#child.once("exit", (code, signal) => {
        const end = signal ?? `exit code ${code}`;
        reject(new DemoFailure(`The clients ended with ${end}.`, "The log, above, says why."));
      });
    });
    // Whoever awaits it sees the failure; before that it is not an unhandled one.
    this.#ledger.catch(() => {});
  }

  /** Rejects when the clients end without a ledger; resolves with it otherwise. */
  get ledger(): Promise<ClientLedger> {
    return this.#ledger;
  }

  /** Lets the clients deliver what they hold, then end. @throws DemoFailure when they end without a ledger */
  async stop(): Promise<ClientLedger> {
    const stop: ToClients = { type: "stop" };
    // Should they end at this moment, their exit says so.
    if (this.#child.connected) this.#child.send(stop, () => {});
    const ledger = await this.#ledger;
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, "exit");
    return ledger;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}
