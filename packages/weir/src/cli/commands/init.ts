import { existsSync, realpathSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { WeirError } from "@weir/contract";
import { exitCodes } from "../../exit-code.ts";
import type { ExitCode } from "../../exit-code.ts";
import { shownPath } from "../../load-error.ts";
import { paint, result } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

const ownFolder = realpathSync(fileURLToPath(new URL("../../../", import.meta.url)));

/** Template file -> name in the project. npm never packs a file named .gitignore, hence the other name. */
const files: Readonly<Record<string, string>> = {
  "weir.config.ts": "weir.config.ts",
  "events.json": "events.json",
  "README.md": "README.md",
  "tsconfig.json": "tsconfig.json",
  gitignore: ".gitignore",
};

/**
 * Writes a small working project. With --json: `{folder, files}`.
 *
 * @throws WeirError `would_overwrite` when any of its files exists already; nothing is written then
 */
export async function init(terminal: Terminal, given: string): Promise<ExitCode> {
  const folder = resolve(given);
  const name = projectName(folder);
  const contents = new Map<string, string>([["package.json", packageJson(name, folder)]]);
  for (const [source, target] of Object.entries(files)) {
    const text = await readFile(join(ownFolder, "template", source), "utf8");
    contents.set(target, text.replaceAll("my-project", name));
  }
  const present = [...contents.keys()].filter((file) => existsSync(join(folder, file)));
  if (present.length > 0) {
    throw new WeirError("would_overwrite", `There are files already: ${present.join(", ")}.`, {
      where: folder,
    });
  }
  try {
    await mkdir(folder, { recursive: true });
    for (const [file, text] of contents) await writeFile(join(folder, file), text, { flag: "wx" });
  } catch (cause) {
    throw new WeirError("invalid_usage", `The project cannot be written: ${(cause as Error).message}.`, {
      where: folder,
      remedy: "Choose a folder that you can write.",
      cause,
    });
  }
  result(terminal, { folder, files: [...contents.keys()].sort() }, () => {
    const place = relative(process.cwd(), folder);
    return [
      `${paint(terminal, "green", "Wrote")} ${shownPath(folder)}: ${[...contents.keys()].join(", ")}`,
      "",
      ...(place === "" ? [] : [`  cd ${place.startsWith("..") ? folder : place}`]),
      "  npm install",
      "  npx weir dev",
      "",
      "README.md says how to send the sample events and look at the tables.",
    ].join("\n");
  });
  return exitCodes.ok;
}

/** The folder's name, made into one that a project may have. */
function projectName(folder: string): string {
  const name = basename(folder)
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, "-")
    .replace(/^[^a-z]+/, "")
    .replace(/-+$/, "")
    .slice(0, 63);
  return name === "" ? "my-project" : name;
}

function packageJson(name: string, folder: string): string {
  // By path, not by version: the registry's package of this name is somebody else's.
  const manifest = {
    name,
    version: "0.1.0",
    private: true,
    type: "module",
    scripts: { dev: "weir dev", start: "weir up", check: "weir check", types: "tsc" },
    dependencies: { weir: `file:${shortest(folder, ownFolder)}` },
    devDependencies: { "@types/node": "^20.19.0", typescript: "^7.0.2" },
  };
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

function shortest(from: string, to: string): string {
  const near = relative(from, to);
  return near.startsWith(join("..", "..", "..")) ? to : near;
}
