/** The answer to a request, whose body is read at most once, by `text` or `chunks`. */
export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  /** @throws TypeError and others when the connection breaks, or nothing comes for too long */
  text(): Promise<string>;
  chunks(): AsyncIterable<Uint8Array>;
}

export interface Exchange {
  readonly url: string;
  readonly method?: "GET" | "POST" | "PATCH" | "DELETE";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** How long to wait for the headers, and then for each piece of the body. */
  readonly idleMs: number;
  /** Ends the exchange from outside. */
  readonly signal: AbortSignal;
}

/** Nothing came for too long. */
export class Silence extends Error {
  override readonly name = "Silence";
}

/**
 * One request, sent once, and what `read` makes of its answer. The connection is given up when `read` ends, so
 * whatever it is to keep it must have read. Time that `read` spends on other things than waiting for bytes does not
 * count as silence: a capture that waits for the log is not a slow server.
 *
 * @throws Silence; TypeError when the connection cannot be made or breaks; what `read` throws
 */
export async function exchange<T>(request: Exchange, read: (reply: Reply) => Promise<T>): Promise<T> {
  const { url, method = "GET", headers = {}, body, idleMs, signal } = request;
  const abort = new AbortController();
  const stop = (): void => abort.abort(signal.reason);
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop);
  /** Waits for bytes, but not for ever. */
  const patiently = async <R>(wait: Promise<R>): Promise<R> => {
    const timer = setTimeout(() => abort.abort(new Silence(`nothing came for ${idleMs} ms`)), idleMs);
    try {
      return await wait;
    } finally {
      clearTimeout(timer);
    }
  };
  try {
    const response = await patiently(
      fetch(url, {
        method,
        headers,
        redirect: "manual",
        signal: abort.signal,
        ...(body === undefined ? {} : { body }),
      }),
    );
    const chunks = () => pieces(response, patiently);
    const text = async (): Promise<string> => {
      const parts: Uint8Array[] = [];
      for await (const part of chunks()) parts.push(part);
      return Buffer.concat(parts).toString();
    };
    return await read({ status: response.status, headers: response.headers, text, chunks });
  } finally {
    signal.removeEventListener("abort", stop);
    abort.abort();
  }
}

async function* pieces(
  response: Response,
  patiently: <R>(wait: Promise<R>) => Promise<R>,
): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  for (;;) {
    const { done, value } = await patiently(reader.read());
    if (done) return;
    yield value as Uint8Array;
  }
}
