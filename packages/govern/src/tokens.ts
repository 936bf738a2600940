import { createHash, randomBytes } from "node:crypto";
import { readFileSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { WeirError } from "@weir/contract";
import { createFile, makePrivateDirectory, syncDirectory } from "./durable-file.ts";
import { isRole } from "./roles.ts";
import type { Role } from "./roles.ts";

/** What is known of a token. The token itself is shown once, when it is made. */
export interface TokenInfo {
  readonly name: string;
  readonly role: Role;
  /** ISO 8601. */
  readonly createdAt: string;
  /** ISO 8601; null if it is good until it is revoked. */
  readonly expiresAt: string | null;
}

interface StoredToken extends TokenInfo {
  /** SHA-256 of the token, base64url. A token has 256 random bits, so its hash needs no salt and tells nothing. */
  readonly hash: string;
}

const namePattern = /^[a-z0-9][a-z0-9_-]{0,63}$/;
const prefix = "weir_";
const draftSuffix = ".new";

/**
 * API tokens, one file each: a token is there once its file has its name, and gone once the name is. One process at a time
 * has the directory: the one that runs the engine.
 */
export class Tokens {
  readonly #directory: string;
  readonly #clock: () => number;
  readonly #byHash = new Map<string, StoredToken>();

  /** @throws WeirError `tokens_unreadable` */
  constructor(directory: string, clock: () => number = Date.now) {
    this.#directory = directory;
    this.#clock = clock;
    makePrivateDirectory(directory);
    for (const name of readdirSync(directory)) {
      // Left by a process that died while it made one: nobody was ever shown that token.
      if (name.endsWith(draftSuffix)) rmSync(join(directory, name));
      else this.#add(read(join(directory, name)));
    }
  }

  get any(): boolean {
    return this.#byHash.size > 0;
  }

  /** By name. */
  list(): TokenInfo[] {
    return [...this.#byHash.values()]
      .map(({ name, role, createdAt, expiresAt }) => ({ name, role, createdAt, expiresAt }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /**
   * Makes a token; durable when it returns.
   *
   * @param lifeMs undefined: until it is revoked
   * @returns the only copy of the token
   * @throws WeirError `invalid_usage`, `token_exists`
   */
  create(name: string, role: Role, lifeMs: number | undefined): { token: string; info: TokenInfo } {
    if (!namePattern.test(name)) {
      throw new WeirError("invalid_usage", `${JSON.stringify(name)} is no name for a token.`, {
        remedy: "Use up to 64 lower-case letters, digits, _ and -.",
      });
    }
    if (this.list().some((one) => one.name === name)) {
      throw new WeirError("token_exists", `There is a token ${name}.`, { where: name });
    }
    const now = this.#clock();
    const token = `${prefix}${randomBytes(32).toString("base64url")}`;
    const info: TokenInfo = {
      name,
      role,
      createdAt: new Date(now).toISOString(),
      expiresAt: lifeMs === undefined ? null : new Date(now + lifeMs).toISOString(),
    };
    const stored = { ...info, hash: hashOf(token) };
    const path = this.#path(name);
    rmSync(`${path}${draftSuffix}`, { force: true });
    createFile(`${path}${draftSuffix}`, JSON.stringify(stored));
    renameSync(`${path}${draftSuffix}`, path);
    syncDirectory(this.#directory);
    this.#add(stored);
    return { token, info };
  }

  /** Takes a token back at once, durably. @throws WeirError `not_found` */
  revoke(name: string): void {
    const entry = [...this.#byHash].find(([, info]) => info.name === name);
    if (entry === undefined)
      throw new WeirError("not_found", `There is no token ${name.slice(0, 100)}.`, {
        remedy: "weir token list shows those that there are.",
      });
    this.#byHash.delete(entry[0]);
    rmSync(this.#path(name), { force: true });
    syncDirectory(this.#directory);
  }

  /** What a token stands for; undefined for one that is unknown, revoked or expired. */
  find(token: string): TokenInfo | undefined {
    const found = this.#byHash.get(hashOf(token));
    if (found === undefined) return undefined;
    return found.expiresAt !== null && Date.parse(found.expiresAt) <= this.#clock() ? undefined : found;
  }

  #path(name: string): string {
    return join(this.#directory, `${name}.json`);
  }

  #add(stored: StoredToken): void {
    this.#byHash.set(stored.hash, stored);
  }
}

const hashOf = (token: string): string => createHash("sha256").update(token).digest("base64url");

function read(path: string): StoredToken {
  try {
    const stored = JSON.parse(readFileSync(path, "utf8")) as StoredToken;
    const isWhole = namePattern.test(stored.name) && isRole(stored.role) && /^[\w-]{43}$/.test(stored.hash);
    const isDated = stored.expiresAt === null || !Number.isNaN(Date.parse(stored.expiresAt));
    if (isWhole && isDated) return stored;
    throw new TypeError("a member of it is missing or wrong");
  } catch (cause) {
    // Left out, it would be a token less; taken in half, perhaps one that never expires.
    throw new WeirError(
      "tokens_unreadable",
      `The file of a token cannot be read: ${(cause as Error).message}.`,
      {
        where: path,
        cause,
      },
    );
  }
}
