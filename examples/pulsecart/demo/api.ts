import { DemoFailure } from "./failure.ts";

/** What the demo asks of Weir while it runs, over HTTP as any dashboard would. */
export interface Counts {
  readonly source: string;
  readonly contract: string;
  readonly received: number;
  readonly loaded: number;
  readonly duplicate: number;
  readonly quarantined: number;
  readonly suppressed: number;
}

/** What a capture says of its source; which facts it has depends on the connector. */
export interface CaptureProcess {
  readonly name: string;
  readonly role: string;
  readonly state: string;
  readonly status?: Readonly<Record<string, Cell>>;
  readonly lastError?: { readonly code: string };
}

export interface Status {
  readonly commit: number;
  readonly lag: { readonly records: number; readonly oldestMs: number };
  readonly recordsPerSecond: number;
  readonly counts: readonly Counts[];
  readonly tables: readonly { readonly name: string; readonly rows: number }[];
  readonly instance: { readonly processes: readonly CaptureProcess[] } | null;
}

export type Cell = string | number | boolean | null;

const timeoutMs = 60_000;

export class Api {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  async status(): Promise<Status> {
    return (await this.#answer(await fetch(`${this.#url}/api/status`, { signal: limit() }))) as Status;
  }

  /** Rows of one SELECT: decimals and large integers are strings, timestamps are `YYYY-MM-DD hh:mm:ss[.ffffff]` in UTC. */
  async query(sql: string): Promise<readonly (readonly Cell[])[]> {
    const response = await fetch(`${this.#url}/api/query`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ sql, maxRows: 100_000, timeoutMs }),
      signal: limit(),
    });
    return ((await this.#answer(response)) as { rows: Cell[][] }).rows;
  }

  async #answer(response: Response): Promise<unknown> {
    const value: unknown = await response.json();
    if (response.ok) return value;
    // The engine wraps its errors, the collector, which speaks where the engine does not, gives them as they are.
    const { error = value } = value as { error?: unknown };
    const { code = `HTTP ${response.status}`, message = "" } = error as { code?: string; message?: string };
    const text = `${code}: ${message}`;
    throw new DemoFailure(text, "The log of weir up says more.");
  }
}

const limit = (): AbortSignal => AbortSignal.timeout(timeoutMs);
