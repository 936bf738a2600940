import * as fc from "fast-check";
import { expect, test } from "vitest";
import { FrameReader, frameOf } from "./lookup-frames.ts";

const sent = fc.array(
  fc.record({
    number: fc.integer({ min: 0, max: 0xffff_ffff }),
    url: fc.string({ unit: "grapheme", maxLength: 50 }),
    body: fc.uint8Array({ maxLength: 300 }),
  }),
  { maxLength: 8 },
);

test("frames come out as they went in, wherever a connection cuts them", () => {
  fc.assert(
    fc.property(sent, fc.array(fc.nat({ max: 400 }), { maxLength: 40 }), (frames, cuts) => {
      const bytes = Buffer.concat(
        frames.map(({ number, url, body }) => frameOf(number, { url, headers: {} }, Buffer.from(body))),
      );
      const reader = new FrameReader();
      const read = [];
      let at = 0;
      for (const cut of [...cuts, bytes.length]) {
        read.push(...reader.read(bytes.subarray(at, at + cut)));
        at += cut;
      }
      expect(
        read.map(({ number, head, body }) => ({
          number,
          url: (JSON.parse(head) as { url: string }).url,
          body: Uint8Array.from(body),
        })),
      ).toEqual(frames);
    }),
  );
});

test("what is no frame is said to be none, before it is waited for", () => {
  const tooLong = Buffer.alloc(12);
  tooLong.writeUInt32LE(0xffff_ffff, 0);
  expect(() => new FrameReader().read(tooLong)).toThrow(RangeError);
  const headBeyond = Buffer.alloc(12);
  headBeyond.writeUInt32LE(8, 0);
  headBeyond.writeUInt32LE(1, 8);
  expect(() => new FrameReader().read(headBeyond)).toThrow(RangeError);
});
