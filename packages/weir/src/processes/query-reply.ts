import type { ServerResponse } from "node:http";
import type { Engine, JsonValue, QueryOptions, QuerySink } from "@weir/engine";
import { jsonHeaders, sendText } from "./http-json.ts";

/** Results up to this size are answered at once; larger ones are sent while they are read. */
const wholeBytes = 1024 * 1024;
const defaultTimeoutMs = 60_000;

/**
 * Answers with the result of a query as `{"columns", "rows", "truncated", "commit"}`. No more than a chunk of a large one is in
 * memory, and the client's pace is the query's. An error after the first bytes cuts the answer off.
 *
 * @throws what `Engine.query` throws, while nothing has been sent
 */
export async function sendQuery(
  response: ServerResponse,
  engine: Engine,
  sql: string,
  options: QueryOptions,
): Promise<void> {
  const reply = new QueryReply(response, options.timeoutMs ?? defaultTimeoutMs);
  try {
    const { truncated } = await engine.queryInto(sql, options, reply);
    reply.end(truncated);
  } catch (error) {
    if (!response.headersSent) throw error;
    response.destroy();
  }
}

class QueryReply implements QuerySink {
  readonly #response: ServerResponse;
  readonly #signal: AbortSignal;
  #text = "";
  #commit = 0;
  #isFirst = true;

  constructor(response: ServerResponse, timeoutMs: number) {
    this.#response = response;
    this.#signal = AbortSignal.timeout(timeoutMs);
  }

  begin(columns: readonly { readonly name: string; readonly type: string }[], commit: number): void {
    this.#commit = commit;
    this.#text = `{"columns":${JSON.stringify(columns)},"rows":[`;
  }

  async rows(rows: JsonValue[][]): Promise<boolean> {
    const pieces = rows.map((row) => JSON.stringify(row));
    if (pieces.length > 0) this.#text += (this.#isFirst ? "" : ",") + pieces.join(",");
    this.#isFirst &&= pieces.length === 0;
    if (this.#response.destroyed) return false;
    if (this.#text.length < wholeBytes) return true;
    if (!this.#response.headersSent) this.#response.writeHead(200, jsonHeaders);
    const hasRoom = this.#response.write(this.#text);
    this.#text = "";
    return hasRoom || (await drained(this.#response, this.#signal));
  }

  end(truncated: boolean): void {
    const text = `${this.#text}],"truncated":${truncated},"commit":${this.#commit}}\n`;
    if (this.#response.headersSent) this.#response.end(text);
    else sendText(this.#response, 200, text);
  }
}

/** Resolves with true once there is room for more, with false when the client is gone or the time is over: then it is cut off. */
export async function drained(response: ServerResponse, signal: AbortSignal): Promise<boolean> {
  return await new Promise((resolve) => {
    const done = (): void => {
      response.off("drain", done).off("close", done);
      signal.removeEventListener("abort", done);
      const isDrained = !response.writableNeedDrain && !response.destroyed;
      if (!isDrained) response.destroy();
      resolve(isDrained);
    };
    response.on("drain", done).on("close", done);
    signal.addEventListener("abort", done);
    if (signal.aborted || response.destroyed || !response.writableNeedDrain) done();
  });
}
