import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdtempSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { bundled } from "./bundle.ts";
import { durableRecorder, losePower } from "./power-loss.ts";
import type { Chances } from "./seeded.ts";

/** Everything that was not synced is lost, and everything that was removed without a sync comes back. */
const merciless: Chances = { below: () => 0, in100: () => false, pick: ([first]) => first as never };
/** Runs JavaScript in a directory, then takes the power away. */
async function afterPowerLoss(script: string, chances: Chances, lying = "", mercy = 0): Promise<string> {
  const [root, notes] = ["weir-root-", "weir-notes-"].map((name) => mkdtempSync(join(tmpdir(), name)));
  if (root === undefined || notes === undefined) throw new Error("unreachable");
  onTestFinished(() => [root, notes].forEach((path) => rmSync(path, { recursive: true })));
  writeFileSync(join(root, "run.mjs"), `${prelude}\n${script}`);
  mkdirSync(join(root, "data"));
  const args = ["--import", (await bundled(durableRecorder)).href, "../run.mjs"];
  const env = { ...process.env, WEIR_TEST_DURABLE: notes, WEIR_TEST_LYING_SYNC: lying };
  const { status, stderr } = spawnSync(process.execPath, args, { cwd: join(root, "data"), env });
  if (status !== 0) throw new Error(stderr.toString());
  losePower(join(root, "data"), { notes, chances, mercy, trusted: (path) => path.endsWith("trusted") });
  return join(root, "data");
}

const prelude = `
import fs from "node:fs";
import { open } from "node:fs/promises";
const write = (path, text) => fs.writeFileSync(path, text);
const sync = (path) => { const fd = fs.openSync(path, "r"); fs.fsyncSync(fd); fs.closeSync(fd); };
const later = async (path, how) => { const file = await open(path, "r"); await file[how](); await file.close(); };
`;

test("a file survives if its content and its name were synced", async () => {
  const at = await afterPowerLoss(
    `write("whole", "a"); sync("whole"); write("nameless", "b"); sync("."); sync("nameless");
     write("later", "c"); await later("later", "datasync"); await later(".", "sync"); write("unsynced", "d"); sync(".");
     write("lost", "e"); sync("lost"); write("trusted", "f");`,
    merciless,
  );
  expect(readdirSync(at).sort()).toEqual(["later", "nameless", "trusted", "unsynced", "whole"]);
  expect(
    ["later", "nameless", "unsynced", "whole"].map((name) => readFileSync(join(at, name), "utf8")),
  ).toEqual(["c", "b", "", "a"]);
});

test("what was appended, renamed, replaced or removed without a sync is as it was before", async () => {
  const at = await afterPowerLoss(
    `for (const name of ["appended", "renamed", "replaced", "removed"]) { write(name, name); sync(name); }
     fs.symlinkSync("old", "link"); fs.mkdirSync("directory"); write("directory/in", "in"); sync("directory/in");
     sync("directory"); sync(".");
     fs.appendFileSync("appended", "more"); fs.renameSync("renamed", "new"); fs.rmSync("removed");
     write("aside", "other"); sync("aside"); fs.renameSync("aside", "replaced");
     fs.symlinkSync("new", "aside"); fs.renameSync("aside", "link");
     fs.mkdirSync("unsynced"); write("unsynced/in", "x"); sync("unsynced/in"); sync("unsynced");`,
    merciless,
  );
  const names = ["appended", "removed", "renamed", "replaced"];
  expect(readdirSync(at).sort()).toEqual(["appended", "directory", "link", "removed", "renamed", "replaced"]);
  expect(names.map((name) => readFileSync(join(at, name), "utf8"))).toEqual(names);
  expect(readlinkSync(join(at, "link"))).toBe("old");
  expect(existsSync(join(at, "directory", "in"))).toBe(true);
});

test("what was not synced may survive all the same", async () => {
  const script = `write("gone", "b"); sync("gone"); sync("."); fs.rmSync("gone"); write("kept", "a");`;
  const at = await afterPowerLoss(script, { ...merciless, in100: () => true }, "", 100);
  expect(readdirSync(at)).toEqual(["kept"]);
  expect(readFileSync(join(at, "kept"), "utf8")).toBe("a");
});

test("a sync that lies keeps nothing", async () => {
  const script = `write("a.parquet", "a"); sync("a.parquet"); write("b", "b"); sync("b"); sync(".");`;
  const at = await afterPowerLoss(script, merciless, "\\.parquet$");
  expect(["a.parquet", "b"].map((name) => readFileSync(join(at, name), "utf8"))).toEqual(["", "b"]);
});
