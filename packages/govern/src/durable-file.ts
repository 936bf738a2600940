import { closeSync, fsyncSync, mkdirSync, openSync, writeFileSync } from "node:fs";

/** Only the user that runs Weir reads what is kept here. */
const ownerOnly = 0o600;
const ownerOnlyDirectory = 0o700;

/** Creates a directory that only its owner reads. */
export function makePrivateDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: ownerOnlyDirectory });
}

/** Makes the names in a directory durable. */
export function syncDirectory(path: string): void {
  const directory = openSync(path, "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** Writes a new file and makes its content durable. Throws EEXIST where there is one. */
export function createFile(path: string, text: string): void {
  const file = openSync(path, "wx", ownerOnly);
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
