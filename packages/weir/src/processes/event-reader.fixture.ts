/** For tests: a reader of server-sent events that keeps its last id, as browsers do. */

export interface ReadEvent {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: Record<string, unknown>;
}

export class EventReader {
  readonly events: ReadEvent[] = [];
  readonly comments: string[] = [];
  lastId: string | undefined;
  /** Of the last connection. */
  status = 0;
  #abort = new AbortController();

  /**
   * Reads until the stream ends, breaks, or `enough` says so.
   *
   * @param url with `since` for the first connection; later ones send the last id
   */
  async read(url: string, enough: (reader: EventReader) => boolean = () => false): Promise<void> {
    this.#abort = new AbortController();
    const headers = this.lastId === undefined ? {} : { "last-event-id": this.lastId };
    try {
      const response = await fetch(url, { headers, signal: this.#abort.signal });
      this.status = response.status;
      if (response.status !== 200 || response.body === null) return;
      let text = "";
      const decoder = new TextDecoder();
      for await (const chunk of response.body) {
        text += decoder.decode(chunk as Uint8Array, { stream: true });
        const blocks = text.split("\n\n");
        text = blocks.pop() ?? "";
        for (const block of blocks) {
          this.#take(block);
          if (!enough(this)) continue;
          this.stop();
          return;
        }
      }
    } catch (error) {
      // The connection broke: whoever reads connects again.
      if (!(error instanceof TypeError) && (error as Error).name !== "AbortError") throw error;
    }
  }

  stop(): void {
    this.#abort.abort();
  }

  #take(block: string): void {
    const fields = new Map(
      block.split("\n").map((line) => [line.split(": ", 1)[0] ?? "", line.replace(/^\w*: /, "")]),
    );
    const comment = fields.get("");
    if (comment !== undefined) this.comments.push(comment);
    const id = fields.get("id");
    if (id !== undefined) this.lastId = id;
    const event = fields.get("event");
    if (event === undefined) return;
    this.events.push({ event, id, data: JSON.parse(fields.get("data") ?? "null") as ReadEvent["data"] });
  }
}
