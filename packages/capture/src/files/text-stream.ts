import type { OpenFile } from "./open-file.ts";
import { ByteWindow } from "./window.ts";

/** Bytes that are kept of a line that is larger than a row may be. */
const keptBytes = 64 * 1024;
const lf = 0x0a;

/**
 * A window on the text of a file in UTF-8, from byte `from` of it on, without the byte order mark at its start. Text in another
 * encoding is decoded; positions are those of the UTF-8.
 */
export async function textWindow(
  file: OpenFile,
  encoding: string,
  from: number,
  signal: AbortSignal,
): Promise<ByteWindow> {
  const isUtf8 = /^(utf-?8|us-ascii|ascii)$/i.test(encoding);
  const chunks = isUtf8
    ? file.content(from, signal)
    : skipped(recoded(file.content(0, signal), encoding), from);
  const window = new ByteWindow(chunks, from);
  await window.more();
  if (from === 0) {
    while (window.end < 3 && (await window.more()));
    const { bytes } = window;
    if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) window.advance(3);
  }
  return window;
}

/** Bytes that the encoding has no character for become U+FFFD, as there is no other place to say so. */
async function* recoded(
  chunks: AsyncIterable<Buffer>,
  encoding: string,
): AsyncGenerator<Buffer, void, undefined> {
  const decoder = new TextDecoder(encoding, { ignoreBOM: false });
  for await (const chunk of chunks) {
    const text = decoder.decode(chunk, { stream: true });
    if (text !== "") yield Buffer.from(text);
  }
  const rest = decoder.decode();
  if (rest !== "") yield Buffer.from(rest);
}

async function* skipped(
  chunks: AsyncIterable<Buffer>,
  bytes: number,
): AsyncGenerator<Buffer, void, undefined> {
  let left = bytes;
  for await (const chunk of chunks) {
    if (left < chunk.length) yield left === 0 ? chunk : chunk.subarray(left);
    left = Math.max(0, left - chunk.length);
  }
}

/** Goes on behind the line that the window starts in, whatever its length. Returns its size and the first bytes of it. */
export async function skipLine(window: ByteWindow): Promise<{ size: number; kept: Buffer }> {
  const kept = Buffer.from(
    window.bytes.subarray(window.start, Math.min(window.end, window.start + keptBytes)),
  );
  const from = window.offset;
  for (;;) {
    const feed = window.bytes.indexOf(lf, window.start);
    if (feed >= 0 && feed < window.end) {
      window.advance(feed + 1);
      const size = window.offset - from - 1;
      return { size, kept: kept.subarray(0, size) };
    }
    window.advance(window.end);
    if (!(await window.more())) return { size: window.offset - from, kept };
  }
}
