import { mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FileWatch } from "./watch.ts";

let root: string;
let watch: FileWatch;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "weir-watch-"));
  watch = new FileWatch();
});
afterEach(() => {
  watch.close();
  rmSync(root, { recursive: true });
});

describe("file watch", () => {
  test("tells a write, a replacement by rename, a removal and a return", async () => {
    const file = join(root, "a.ts");
    writeFileSync(file, "1");
    watch.follow([file], Date.now() + 60_000);
    writeFileSync(file, "22");
    expect(await watch.next()).toEqual([file]);
    writeFileSync(`${file}.new`, "333");
    renameSync(`${file}.new`, file);
    expect(await watch.next()).toEqual([file]);
    rmSync(file);
    expect(await watch.next()).toEqual([file]);
    writeFileSync(file, "333");
    expect(await watch.next()).toEqual([file]);
  });

  test("a touched file with the same content is no change", async () => {
    const [touched, written] = [join(root, "a.ts"), join(root, "b.ts")];
    writeFileSync(touched, "1");
    writeFileSync(written, "1");
    watch.follow([touched, written], Date.now() + 60_000);
    utimesSync(touched, new Date(1), new Date(1));
    // Seen in the same or a later look than the touched one, so the touched one had its chance.
    writeFileSync(written, "22");
    expect(await watch.next()).toEqual([written]);
  });

  test("follows only the files it was last told, and ends when closed", async () => {
    const [old, fresh] = [join(root, "a.ts"), join(root, "b.ts")];
    watch.follow([old], Date.now() + 60_000);
    watch.follow([fresh], Date.now() + 60_000);
    writeFileSync(old, "1");
    writeFileSync(fresh, "1");
    expect(await watch.next()).toEqual([fresh]);
    const next = watch.next();
    watch.close();
    expect(await next).toBeUndefined();
  });

  test("a file that was written after it was read has changed already", async () => {
    const file = join(root, "a.ts");
    writeFileSync(file, "1");
    utimesSync(file, new Date(5_000), new Date(5_000));
    watch.follow([file], 5_000);
    expect(await watch.next()).toEqual([file]);
  });

  test("a file of the same size written again at the same time is seen", async () => {
    const file = join(root, "a.ts");
    const now = new Date();
    writeFileSync(file, "1");
    utimesSync(file, now, now);
    watch.follow([file], Date.now() + 60_000);
    writeFileSync(file, "2");
    utimesSync(file, now, now);
    expect(await watch.next()).toEqual([file]);
  });
});
