import { connect } from "node:net";
import type { Socket } from "node:net";
import { FrameReader, frameOf } from "./lookup-frames.ts";
import type { LookupQuestion, LookupReplyHead } from "./lookup-frames.ts";

/** Undefined where there is none by this way: the engine is away, or the answer too large. */
export type LookupReply = { readonly head: LookupReplyHead; readonly body: Buffer } | undefined;

/** The collector's end of the connection over which it asks the engine for rows; see lookup-frames.ts. */
export class LookupChannel {
  readonly #path: string;
  #socket: Socket | undefined;
  #waiting = new Map<number, (reply: LookupReply) => void>();
  #number = 0;
  #isClosing = false;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Asks, connecting first where need be.
   *
   * @param then hears of the reply, once
   * @returns forgets the question: nobody waits for its reply any more
   */
  ask(question: LookupQuestion, then: (reply: LookupReply) => void): () => void {
    const socket = (this.#socket ??= this.#connect());
    const number = (this.#number = (this.#number + 1) >>> 0);
    const waiting = this.#waiting;
    waiting.set(number, then);
    if (waiting.size === 1) socket.ref();
    // What is asked in one turn of the loop leaves in one write.
    if (socket.writableCorked === 0) {
      socket.cork();
      setImmediate(() => socket.uncork());
    }
    socket.write(frameOf(number, question));
    return () => {
      waiting.delete(number);
      if (waiting === this.#waiting) this.#settled(socket);
    };
  }

  /** Ends the connection once what was asked is answered. */
  close(): void {
    this.#isClosing = true;
    if (this.#socket !== undefined) this.#settled(this.#socket);
  }

  #connect(): Socket {
    const socket = connect(this.#path);
    const reader = new FrameReader();
    const waiting = (this.#waiting = new Map());
    socket.on("data", (piece: Buffer) => {
      try {
        for (const { number, head, body } of reader.read(piece)) {
          const then = waiting.get(number) as ((reply: LookupReply) => void) | undefined;
          waiting.delete(number);
          const told = JSON.parse(head) as LookupReplyHead;
          then?.(told.status === 0 ? undefined : { head: told, body });
        }
      } catch (error) {
        socket.destroy(error as Error);
      }
      this.#settled(socket);
    });
    // `close` follows, which tells those who wait.
    socket.on("error", () => undefined);
    socket.on("end", () => socket.destroy());
    socket.on("close", () => {
      if (this.#socket === socket) this.#socket = undefined;
      for (const then of waiting.values()) then(undefined);
      waiting.clear();
    });
    return socket;
  }

  /** An idle connection keeps no process alive. */
  #settled(socket: Socket): void {
    if (socket !== this.#socket || this.#waiting.size > 0) return;
    socket.unref();
    if (this.#isClosing) socket.end();
  }
}
