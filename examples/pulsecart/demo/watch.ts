import { Api } from "./api.ts";
import type { ClientProcess } from "./client-process.ts";
import { committedOfClients } from "./counts.ts";
import type { Display } from "./display.ts";
import type { DemoOptions } from "./options.ts";
import type { Platform } from "./platform.ts";
import type { Stopping } from "./stopping.ts";
import type { StorePart } from "./store-part.ts";
import { readView } from "./view.ts";
import type { View } from "./view.ts";

const frameEveryMs = 500;
const viewEveryMs = 1_000;
/** The rate shown is that of so many frames. */
const rateFrames = 8;
/** Two minutes. */
const keptFrames = 240;

/** Shows what happens, until it should end. A slow answer of the engine delays the tables, never the counts. */
export async function watch(parts: {
  readonly platform: Platform;
  readonly clients: ClientProcess;
  readonly store: StorePart | undefined;
  readonly display: Display;
  readonly stopping: Stopping;
  readonly options: DemoOptions;
  readonly dataDir: string;
}): Promise<void> {
  const { platform, clients, store, display, stopping, options, dataDir } = parts;
  const api = new Api(platform.url);
  const startedAt = performance.now();
  const acknowledged = new Acknowledged();
  let lagMs = 0;
  let view: View | undefined;
  let problem: string | undefined;
  let reading = false;
  let readAt = -Infinity;
  const refresh = async (): Promise<void> => {
    reading = true;
    readAt = performance.now();
    try {
      view = await readView(api);
      lagMs = acknowledged.lagMs(committedOfClients(view.status), performance.now());
      problem = undefined;
    } catch (error) {
      problem = (error as Error).message;
    }
    reading = false;
  };
  while (!(await stopping.within(frameEveryMs))) {
    const now = performance.now();
    if (!reading && now - readAt >= viewEveryMs) void refresh();
    const { progress } = clients;
    const elapsedMs = now - startedAt;
    acknowledged.note(progress.acknowledged, now);
    display.show({
      url: platform.url,
      elapsedMs,
      forMs: options.forMs,
      clients: progress,
      transactions: store?.transactions,
      perSecond: acknowledged.perSecond,
      lagMs,
      view,
      problem,
      dataDir,
    });
  }
}

/** What clients had been acknowledged, and when: gives the rate, and how far the tables are behind. */
class Acknowledged {
  readonly #seen: { count: number; at: number }[] = [];

  note(count: number, at: number): void {
    this.#seen.push({ count, at });
    if (this.#seen.length > keptFrames) this.#seen.shift();
  }

  get perSecond(): number {
    const last = this.#seen.at(-1);
    const first = this.#seen.at(-rateFrames) ?? this.#seen[0];
    if (first === undefined || last === undefined || last.at <= first.at) return 0;
    return ((last.count - first.count) * 1000) / (last.at - first.at);
  }

  /** How long ago the next record to commit was acknowledged, when so many are committed. */
  lagMs(committed: number, now: number): number {
    const next = this.#seen.find(({ count }) => count > committed);
    return next === undefined ? 0 : now - next.at;
  }
}
