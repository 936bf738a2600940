import { existsSync, readFileSync } from "node:fs";
import { closeSync, fsyncSync, linkSync, openSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { WeirError } from "@weir/contract";
import { makeDirectory, syncPath } from "../durable.ts";
import { decrypt, encrypt, keyBytes, newKey } from "./cipher.ts";

/**
 * Wraps the one key under which the vault wraps all its others. What the vault holds cannot be read without it, so it is
 * best kept elsewhere than the vault: in a key management service, or a file on another disk.
 */
export interface KeyWrapper {
  wrap(key: Buffer): Promise<Buffer>;
  /** Undefined where this is not what wrapped it. */
  unwrap(wrapped: Buffer): Promise<Buffer | undefined>;
}

/** Where the master key is. */
export type MasterKey =
  /** 32 bytes in base64; made at the first start where there is none. */
  | { readonly file: string }
  /** The name of an environment variable with 32 bytes in base64. */
  | { readonly env: string }
  | KeyWrapper;

const ownerOnly = 0o600;

/**
 * @param isFirst whether there is no vault yet that an earlier key has wrapped: only then is a file made
 * @throws WeirError `vault_key_missing`, `vault_key_wrong`
 */
export function keyWrapperOf(master: MasterKey, isFirst: boolean): KeyWrapper {
  if ("wrap" in master) return master;
  if ("env" in master) {
    const value = process.env[master.env];
    if (value === undefined || value === "") throw missing(`the environment variable ${master.env}`);
    return localWrapper(readKey(value, `the environment variable ${master.env}`));
  }
  if (!existsSync(master.file)) {
    if (!isFirst) throw missing(master.file);
    createKeyFile(master.file);
  }
  return localWrapper(readKey(readFileSync(master.file, "utf8"), master.file));
}

function localWrapper(key: Buffer): KeyWrapper {
  return {
    wrap: (plain) => Promise.resolve(encrypt(key, plain)),
    unwrap: (wrapped) => Promise.resolve(decrypt(key, wrapped)),
  };
}

function readKey(text: string, where: string): Buffer {
  const key = Buffer.from(text.trim(), "base64");
  if (key.length === keyBytes) return key;
  throw new WeirError("vault_key_wrong", `The master key is not ${keyBytes} bytes in base64.`, { where });
}

/** A whole key or none: written aside and linked. Another process may be faster, and its key is taken then. */
function createKeyFile(path: string): void {
  makeDirectory(dirname(path));
  const aside = `${path}.new-${process.pid}`;
  rmSync(aside, { force: true });
  const file = openSync(aside, "wx", ownerOnly);
  try {
    writeSync(file, `${newKey().toString("base64")}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  try {
    linkSync(aside, path);
  } catch (error) {
    if (!existsSync(path)) throw error;
  }
  rmSync(aside);
  syncPath(dirname(path));
}

const missing = (where: string): WeirError =>
  new WeirError("vault_key_missing", "The master key of the vault is not there.", { where });
