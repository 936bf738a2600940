import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileProject } from "@weir/compile";
import { Type, contract, timestamp } from "@weir/contract";
import { directoryStore } from "@weir/log";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Engine } from "./engine.ts";

const Note = contract("note", {
  version: "1.0.0",
  owner: "test",
  id: "id",
  time: "at",
  fields: Type.Object({ id: Type.String(), at: timestamp(), text: Type.String() }),
});

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "weir-long-"));
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

test("a line as long as the largest body is read, beside short ones", async () => {
  const store = directoryStore(join(dir, "log"));
  const writer = await store.openWriter("web", "c0");
  const readable = (id: string, text: string): string =>
    `1790000000000000\tnote\t3\t0\t\t${JSON.stringify({ id, at: "2026-01-01T00:00:00Z", text })}\n`;
  const unreadable = `1790000000000000\t\t0\t0\tinvalid_json: position 1\t${Buffer.alloc(10_485_760, "{").toString("base64")}\n`;
  const lines = [
    readable("1", "short"),
    unreadable,
    readable("2", "x".repeat(5_000_000)),
    readable("3", "short"),
  ];
  for (const line of lines) await writer.append(Buffer.from(line), Uint32Array.of(Buffer.byteLength(line)));
  await writer.close();

  const program = compileProject({ name: "p", sources: { web: { contracts: [Note] } }, tables: {} });
  const engine = await Engine.open({ dataDir: dir, program, store });
  await engine.drain();
  const { rows } = await engine.query("SELECT id, length(text) FROM note ORDER BY id");
  const [bad] = await engine.quarantine.list();
  await engine.stop();
  expect(rows.map(([id, n]) => [id, Number(n)])).toEqual([
    ["1", 5],
    ["2", 5_000_000],
    ["3", 5],
  ]);
  expect(Buffer.from(bad?.base64 ?? "", "base64").length).toBe(10_485_760);
});
