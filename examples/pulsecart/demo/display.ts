import type { WriteStream } from "node:tty";
import { balance } from "./counts.ts";
import { drawFrame } from "./screen.ts";
import type { Frame } from "./screen.ts";
import { clock, number } from "./text.ts";
import type { Paint } from "./text.ts";

/** Shows frames: in place on a terminal, as lines elsewhere. */
export interface Display {
  show(frame: Frame): void;
  /** Gives the terminal back as it was. */
  close(): void;
}

const lineEveryMs = 2_000;

/** On the terminal's other screen, so that what was there before comes back. */
export class TerminalDisplay implements Display {
  readonly #out: WriteStream;
  readonly #paint: Paint;
  #open = false;

  constructor(out: WriteStream, paint: Paint) {
    this.#out = out;
    this.#paint = paint;
    // However the process ends, the cursor comes back.
    process.once("exit", () => this.close());
  }

  show(frame: Frame): void {
    if (!this.#open) this.#out.write("\u001b[?1049h\u001b[?25l");
    this.#open = true;
    // The last column and row stay free: some terminals wrap or scroll there. Some do not know their size.
    const size = { columns: (this.#out.columns || 100) - 1, rows: (this.#out.rows || 40) - 1 };
    const lines = drawFrame(frame, size, this.#paint);
    this.#out.write(`\u001b[H${lines.map((line) => `${line}\u001b[K`).join("\n")}\u001b[J`);
  }

  close(): void {
    if (this.#open) this.#out.write("\u001b[?25h\u001b[?1049l");
    this.#open = false;
  }
}

export class LineDisplay implements Display {
  #shownMs = -Infinity;

  show({ elapsedMs, clients, view, perSecond, lagMs, problem }: Frame): void {
    if (elapsedMs - this.#shownMs < lineEveryMs) return;
    this.#shownMs = elapsedMs;
    if (view === undefined) {
      console.log(`${clock(elapsedMs)}  waiting for the first commit`);
      return;
    }
    const { received, loaded, duplicate, quarantined, inFlight } = balance(view.status, clients.acknowledged);
    const sum = `${number(loaded)} loaded + ${number(duplicate)} duplicate + ${number(quarantined)} quarantined + ${number(inFlight)} in flight`;
    const { commit } = view.status;
    const trouble = problem === undefined ? "" : `, ${problem}`;
    console.log(
      `${clock(elapsedMs)}  ${number(received)} received = ${sum}; ${number(Math.round(perSecond))}/s, lag ${(lagMs / 1000).toFixed(1)} s, commit ${commit}${trouble}`,
    );
  }

  close(): void {}
}
