/** The position of the first byte of `start..end` that no UTF-8 text has there (RFC 3629), or -1. */
export function firstInvalidUtf8(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end) {
    const first = bytes[at]!;
    if (first < 0x80) {
      at++;
      continue;
    }
    const size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || at + size > end) return at;
    const second = bytes[at + 1]!;
    // Overlong forms, surrogates and code points above U+10FFFF show in the second byte.
    const lowest = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
    const highest = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
    if (second < lowest || second > highest) return at;
    for (let i = 2; i < size; i++) if ((bytes[at + i]! & 0xc0) !== 0x80) return at;
    at += size;
  }
  return -1;
}
