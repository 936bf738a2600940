/**
 * SIGKILL takes a process away, but not the page cache. After it, this takes away what no sync had made durable, as a
 * power cut may: bytes of files, names in directories; and brings back names whose removal was not durable.
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import type { BigIntStats } from "node:fs";
import { join } from "node:path";
import type { Chances } from "./seeded.ts";

/** One thing that became durable. Files are told apart by inode and time of birth, as inodes are used again. */
export type Durable =
  | { readonly kind: "content"; readonly atUs: number; readonly file: string; readonly blob: string }
  | {
      readonly kind: "names";
      readonly atUs: number;
      readonly directory: string;
      readonly names: Readonly<Record<string, string>>;
    };

/** When a note was taken: several syncs may be under way, and end in another order. */
export const monotonicUs = (): number => Number(process.hrtime.bigint() / 1000n);

/** The module to load into a process whose power will be cut. */
export const durableRecorder = new URL("durable-record.ts", import.meta.url);

export const identityOf = (stat: Pick<BigIntStats, "ino" | "birthtimeNs">): string =>
  `${stat.ino}.${stat.birthtimeNs}`;

const link = "link to ";

/** What a name stands for: a file or directory, or, for a symbolic link, its target. Undefined if there is none. */
export function meaningOf(path: string): string | undefined {
  const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  return stat.isSymbolicLink() ? `${link}${readlinkSync(path)}` : identityOf(stat);
}

export interface PowerLossOptions {
  /** Where the killed process kept its notes (see durable-record.ts). They are used up. */
  readonly notes: string;
  readonly chances: Chances;
  /** In how many of 100 cases a thing that was not durable survives; by default none in half of the losses, else half. */
  readonly mercy?: number;
  /** Paths that are left alone: what other processes or native code write and sync. */
  readonly trusted: (path: string) => boolean;
}

interface Known {
  readonly contents: ReadonlyMap<string, string>;
  readonly names: ReadonlyMap<string, Readonly<Record<string, string>>>;
}

/** Everything under `root` becomes what it is after a power cut. */
export function losePower(root: string, options: PowerLossOptions): void {
  const { notes, chances, trusted, mercy = chances.in100(50) ? 0 : 50 } = options;
  const known = readNotes(notes);
  cutDirectory(root, { known, notes, trusted, survives: () => chances.in100(mercy), chances });
  rmSync(notes, { recursive: true });
  mkdirSync(notes);
  writeFileSync(join(notes, "journal"), "");
  // What is there now is on the disk.
  noteTree(root, notes, trusted);
}

interface Cut {
  readonly known: Known;
  readonly notes: string;
  readonly trusted: (path: string) => boolean;
  readonly survives: () => boolean;
  readonly chances: Chances;
}

function cutDirectory(directory: string, cut: Cut): void {
  const durable = cut.known.names.get(directory) ?? {};
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (cut.trusted(path)) continue;
    const identity = meaningOf(path) ?? "";
    if (durable[name] !== identity && !cut.survives()) rmSync(path, { recursive: true });
    else if (identity.startsWith(link)) continue;
    else if (statSync(path).isDirectory()) cutDirectory(path, cut);
    else cutFile(path, identity, cut);
  }
  for (const [name, identity] of Object.entries(durable)) {
    const path = join(directory, name);
    const blob = cut.known.contents.get(identity);
    if (identity.startsWith(link)) {
      if (meaningOf(path) === undefined && !cut.survives()) symlinkSync(identity.slice(link.length), path);
      continue;
    }
    // A name that was removed, or given to another file, comes back unless the directory was synced since.
    if (!existsSync(path) && blob !== undefined && !cut.survives())
      writeFileSync(path, readFileSync(join(cut.notes, blob)));
  }
}

/** What was synced stays. Otherwise the length may have got to the disk and the bytes not, or some of both. */
function cutFile(path: string, identity: string, { known, notes, survives, chances }: Cut): void {
  const blob = known.contents.get(identity);
  const durable = blob === undefined ? Buffer.alloc(0) : readFileSync(join(notes, blob));
  const content = readFileSync(path);
  if (content.equals(durable) || survives()) return;
  const way = chances.below(3);
  if (way === 0 || content.length <= durable.length) writeOver(path, durable);
  else if (way === 1)
    writeOver(path, Buffer.concat([durable, Buffer.alloc(content.length - durable.length)]));
  else truncateSync(path, durable.length + chances.below(content.length - durable.length));
}

/** Keeps the inode. */
function writeOver(path: string, content: Buffer): void {
  writeFileSync(path, content, { flag: "r+" });
  truncateSync(path, content.length);
}

function readNotes(notes: string): Known {
  const contents = new Map<string, string>();
  const names = new Map<string, Readonly<Record<string, string>>>();
  const journal = join(notes, "journal");
  const lines = existsSync(journal) ? readFileSync(journal, "utf8").split("\n").slice(0, -1) : [];
  const entries = lines.map((line) => JSON.parse(line) as Durable);
  for (const entry of entries.sort((a, b) => a.atUs - b.atUs)) {
    if (entry.kind === "content") contents.set(entry.file, entry.blob);
    else names.set(entry.directory, entry.names);
  }
  return { contents, names };
}

function noteTree(directory: string, notes: string, trusted: (path: string) => boolean): void {
  const names: Record<string, string> = {};
  const note = (entry: Durable): void =>
    writeFileSync(join(notes, "journal"), `${JSON.stringify(entry)}\n`, { flag: "a" });
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (trusted(path)) continue;
    const file = meaningOf(path) ?? "";
    names[name] = file;
    if (file.startsWith(link)) continue;
    if (statSync(path).isDirectory()) noteTree(path, notes, trusted);
    else {
      const blob = `kept-${file}`;
      writeFileSync(join(notes, blob), readFileSync(path));
      note({ kind: "content", atUs: monotonicUs(), file, blob });
    }
  }
  note({ kind: "names", atUs: monotonicUs(), directory, names });
}
