import { dirname, join } from "node:path";

/**
 * How collectors ask the engine for rows: over one connection of a Unix socket of its own, with many questions under way at a
 * time. Passed on one by one as HTTP requests, 1,000 lookups a second took a fifth of a core in the collector; so it is a tenth.
 *
 * Both ways of a connection are frames: `u32 length of what follows | u32 number | u32 length of the head | head | body`, numbers
 * in little endian. The head is JSON; a reply has the number of its question.
 */
export interface Frame {
  readonly number: number;
  /** JSON. */
  readonly head: string;
  readonly body: Buffer;
}

/** The head of a question: what of an HTTP request says which rows, and who asks. */
export interface LookupQuestion {
  /** Path and query. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
}

/** The head of a reply. `status` is 0 where the answer is too large for this way: the question is to be asked as an HTTP request. */
export interface LookupReplyHead {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | number>>;
}

/** Bodies of more bytes go as HTTP, which waits for slow readers. */
export const largestLookupBody = 64 * 1024;

const largestFrame = 1024 * 1024;
const fixedBytes = 12;

/** Where the engine whose HTTP server has this socket listens for lookups. */
export const lookupSocketOf = (engineSocket: string): string => join(dirname(engineSocket), "lookup.sock");

export function frameOf(
  number: number,
  head: LookupQuestion | LookupReplyHead,
  body: Buffer = Buffer.alloc(0),
): Buffer {
  const text = JSON.stringify(head);
  const headBytes = Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(fixedBytes + headBytes + body.length);
  frame.writeUInt32LE(frame.length - 4, 0);
  frame.writeUInt32LE(number, 4);
  frame.writeUInt32LE(headBytes, 8);
  frame.write(text, fixedBytes, "utf8");
  body.copy(frame, fixedBytes + headBytes);
  return frame;
}

/** Takes frames out of the pieces that a connection gives. */
export class FrameReader {
  #left: Buffer = Buffer.alloc(0);

  /** The frames that are whole with this piece. @throws RangeError for what is no frame: the connection cannot be used any more */
  read(piece: Buffer): Frame[] {
    const bytes = this.#left.length === 0 ? piece : Buffer.concat([this.#left, piece]);
    const frames: Frame[] = [];
    let at = 0;
    while (bytes.length - at >= fixedBytes) {
      const end = at + 4 + bytes.readUInt32LE(at);
      const bodyAt = at + fixedBytes + bytes.readUInt32LE(at + 8);
      if (end - at > largestFrame || bodyAt > end) throw new RangeError("no frame of a lookup");
      if (end > bytes.length) break;
      frames.push({
        number: bytes.readUInt32LE(at + 4),
        head: bytes.toString("utf8", at + fixedBytes, bodyAt),
        body: bytes.subarray(bodyAt, end),
      });
      at = end;
    }
    this.#left = bytes.subarray(at);
    return frames;
  }
}
