import { chmodSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { FrameReader, frameOf, largestLookupBody } from "@weir/collect";
import type { LookupQuestion } from "@weir/collect";
import type { Reply } from "./http-json.ts";

/** Listens on a Unix socket to this user only; a socket file that a dead predecessor left is replaced. */
export async function listenAlone(server: Server, socketPath: string): Promise<void> {
  rmSync(socketPath, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(socketPath, resolve);
  });
  chmodSync(socketPath, 0o600);
}

/** The engine's end of the connections over which collectors ask for rows; see lookup-frames.ts of the collector. */
export class LookupServer {
  readonly #answer: (question: LookupQuestion) => Promise<Reply>;
  readonly #server: Server;
  /** Connections, and how many of their questions are being answered. */
  readonly #connections = new Map<Socket, number>();
  #isClosing = false;

  /** @param answer never rejects */
  constructor(answer: (question: LookupQuestion) => Promise<Reply>) {
    this.#answer = answer;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  listen(socketPath: string): Promise<void> {
    return listenAlone(this.#server, socketPath);
  }

  /** Answers what has been asked already, then closes. */
  async close(): Promise<void> {
    this.#isClosing = true;
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    for (const socket of this.#connections.keys()) this.#settled(socket);
    await closed;
  }

  #serve(socket: Socket): void {
    const reader = new FrameReader();
    this.#connections.set(socket, 0);
    socket.on("data", (piece: Buffer) => {
      try {
        for (const { number, head } of reader.read(piece))
          void this.#reply(socket, number, JSON.parse(head) as LookupQuestion);
      } catch (error) {
        socket.destroy(error as Error);
      }
    });
    // Who asked sees that the connection is closed, and asks again by HTTP.
    socket.on("error", () => undefined);
    socket.on("close", () => this.#connections.delete(socket));
  }

  async #reply(socket: Socket, number: number, question: LookupQuestion): Promise<void> {
    this.#count(socket, 1);
    const { status, headers, body } = await this.#answer(question);
    if (socket.writable) {
      // What is answered in one turn of the loop leaves in one write.
      if (socket.writableCorked === 0) {
        socket.cork();
        setImmediate(() => socket.uncork());
      }
      if (body.length > largestLookupBody) socket.write(frameOf(number, { status: 0, headers: {} }));
      else socket.write(frameOf(number, { status, headers }, body));
    }
    this.#count(socket, -1);
    this.#settled(socket);
  }

  #count(socket: Socket, by: number): void {
    const open = this.#connections.get(socket);
    if (open !== undefined) this.#connections.set(socket, open + by);
  }

  #settled(socket: Socket): void {
    if (this.#isClosing && this.#connections.get(socket) === 0) socket.end();
  }
}
