import { expect, test } from "vitest";
import { NameTable } from "./names.ts";
import { PADDING_BYTES, Scanner } from "./scan.ts";

const limits = { depth: 64, recordBytes: 1 << 20 };

function codeOf(text: string): string | undefined {
  const scanner = new Scanner();
  const content = Buffer.from(text);
  scanner.open(Buffer.concat([content, Buffer.alloc(PADDING_BYTES)]), true, limits);
  scanner.scan(0, content.length);
  return scanner.code;
}

/** Names that the cheap hash cannot tell apart: it looks at the first, middle and last four bytes. */
function colliding(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `aaaa${String(i).padStart(8, "0")}bbbb${"0".repeat(8)}cccc`);
}

test("many names: none is taken for another, and the second of a pair is found wherever it stands", () => {
  for (const names of [colliding(5000), Array.from({ length: 20_000 }, (_, i) => `n${i}`)]) {
    const members = names.map((name) => `"${name}":1`);
    expect(codeOf(`{${members.join(",")}}`)).toBeUndefined();
    for (const [first, second] of [
      [0, names.length - 1],
      [17, 18],
      [names.length - 2, names.length - 1],
    ] as const) {
      const twice = members.with(second, members[first]!);
      expect(codeOf(`{${twice.join(",")}}`)).toBe("duplicate_key");
    }
  }
});

test("one name in many objects is no duplicate", () => {
  const inner = Array.from({ length: 2000 }, (_, i) => `"o${i}":{"a":{"a":1},"b":2}`);
  expect(codeOf(`{"a":1,${inner.join(",")},"b":3}`)).toBeUndefined();
  expect(codeOf(`{"a":1,${inner.join(",")},"b":3,"a":4}`)).toBe("duplicate_key");
});

test("a flood of colliding names costs no more than ten times as much as ordinary ones", () => {
  const cost = (names: readonly string[]): number => {
    const body = Buffer.from(`${names.join("")}        `);
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    const table = new NameTable();
    let best = Infinity;
    for (let run = 0; run < 5; run++) {
      const started = performance.now();
      table.reset(body, view);
      for (let i = 0; i < names.length; i++) {
        const size = names[i]!.length;
        if (!table.add(1, i * size, (i + 1) * size, false)) throw new Error(`${names[i]} is no duplicate`);
      }
      best = Math.min(best, performance.now() - started);
    }
    return best;
  };
  const flood = colliding(20_000);
  const ordinary = flood.map((_, i) => `${i * 7919}`.padStart(14, "x").padEnd(28, `${i}`));
  // Quadratic, it would be a thousand times.
  expect(cost(flood)).toBeLessThan(10 * cost(ordinary) + 20);
});

test("a table outlives the range of its counter", () => {
  const body = Buffer.from("abcdefgh        ");
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const table = new NameTable(1000);
  for (let record = 0; record < 3000; record++) {
    table.reset(body, view);
    for (let i = 0; i < 4; i++) if (!table.add(1, i, i + 4, false)) throw new Error(`record ${record}`);
    if (table.add(1, 0, 4, false)) throw new Error(`record ${record}`);
  }
});
