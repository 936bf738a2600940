import type { ServerResponse } from "node:http";
import type { Engine, JsonValue, QueryOptions, QuerySink } from "@weir/engine";
import { jsonHeaders, sendText } from "./http-json.ts";

/** Results up to this size are answered at once; larger ones are sent while they are read. */
const wholeBytes = 1024 * 1024;
/** A client that takes nothing for so long is cut off: others wait for its query to end. */
const stallMs = 10_000;
/** Rows between two turns of others who wait for the process. */
const rowsAtOnce = 250;

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
  const reply = new QueryReply(response, Math.min(stallMs, options.timeoutMs ?? stallMs));
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
  readonly #stallMs: number;
  #text = "";
  #commit = 0;
  #isFirst = true;

  constructor(response: ServerResponse, waitMs: number) {
    this.#response = response;
    this.#stallMs = waitMs;
  }

  begin(columns: readonly { readonly name: string; readonly type: string }[], commit: number): void {
    this.#commit = commit;
    this.#text = `{"columns":${JSON.stringify(columns)},"rows":[`;
  }

  async rows(rows: JsonValue[][]): Promise<boolean> {
    for (let at = 0; at < rows.length; at += rowsAtOnce) {
      const texts = rows.slice(at, at + rowsAtOnce).map((row) => JSON.stringify(row));
      this.#text += (this.#isFirst ? "" : ",") + texts.join(",");
      this.#isFirst = false;
      if (at + rowsAtOnce < rows.length) await new Promise((resolve) => setImmediate(resolve));
    }
    if (this.#response.destroyed) return false;
    if (this.#text.length < wholeBytes) return true;
    if (!this.#response.headersSent) this.#response.writeHead(200, jsonHeaders);
    const hasRoom = this.#response.write(this.#text);
    this.#text = "";
    return hasRoom || (await drained(this.#response, this.#stallMs));
  }

  end(truncated: boolean): void {
    const text = `${this.#text}],"truncated":${truncated},"commit":${this.#commit}}\n`;
    if (this.#response.headersSent) this.#response.end(text);
    else sendText(this.#response, 200, text);
  }
}

/** Resolves with true once there is room for more, with false when the client is gone, or took nothing for so long and is cut off. */
async function drained(response: ServerResponse, waitMs: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      response.off("drain", done).off("close", done);
      const isDrained = !response.writableNeedDrain && !response.destroyed;
      if (!isDrained) response.destroy();
      resolve(isDrained);
    };
    const timer = setTimeout(done, waitMs);
    response.on("drain", done).on("close", done);
    if (response.destroyed || !response.writableNeedDrain) done();
  });
}
