import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  verify,
} from "node:crypto";
import type { KeyObject } from "node:crypto";
import { existsSync, readFileSync, readdirSync, renameSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { WeirError } from "@weir/contract";
import { createFile, makePrivateDirectory, syncDirectory } from "./durable-file.ts";

/** What is certified: plain data, which says nothing that names the person. */
export type Statement = Readonly<Record<string, unknown>>;

/** A statement, signed, in a chain: who removes or changes one breaks those after it. */
export interface Certificate {
  /** From 1, without gaps. */
  readonly number: number;
  /** ISO 8601, of the machine's clock. */
  readonly issuedAt: string;
  /** What it is about, and the state of that: each pair is certified once. */
  readonly subject: string;
  readonly state: string;
  readonly statement: Statement;
  /** SHA-256, in hexadecimal, of the file of the certificate before; 64 zeros before the first. */
  readonly previous: string;
  /** Ed25519, SPKI in base64. */
  readonly publicKey: string;
  /** Ed25519 over the JSON of all other members, in this order; base64. */
  readonly signature: string;
}

/** What became of checking a certificate. */
export interface CertificateVerdict {
  readonly ok: boolean;
  /** What is wrong; null where nothing is. */
  readonly problem: string | null;
  readonly number: number;
  readonly subject: string;
  readonly state: string;
  readonly issuedAt: string;
  /** SHA-256 of the public key, in hexadecimal: whom to believe it is. */
  readonly key: string;
}

const none = "0".repeat(64);
const fileName = /^(\d{8})\.json$/;

/** The certificates of a data directory, and the key that signs them. One process at a time. */
export class Certificates {
  readonly #directory: string;
  #turn: Promise<unknown> = Promise.resolve();

  /** @param directory of its own */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Certifies a statement; the certificate that there is, where subject and state were certified before. Durable when it resolves.
   *
   * @throws WeirError `certificate_key_missing`, `certificate_broken`
   */
  issue(subject: string, state: string, statement: Statement): Promise<Certificate> {
    const done = this.#turn.then(() => this.#issue(subject, state, statement));
    this.#turn = done.catch(() => undefined);
    return done;
  }

  /** Oldest first. @throws WeirError `certificate_broken` */
  list(): Certificate[] {
    return this.#files().map((path) => parsed(readFileSync(path, "utf8"), path));
  }

  /** The last one about a subject. */
  latest(subject: string): Certificate | undefined {
    return this.list().findLast((one) => one.subject === subject);
  }

  #issue(subject: string, state: string, statement: Statement): Certificate {
    const files = this.#files();
    const known = this.list().find((one) => one.subject === subject && one.state === state);
    if (known !== undefined) return known;
    const key = this.#key(files.length === 0);
    const last = files.at(-1);
    const previous =
      last === undefined ? none : createHash("sha256").update(readFileSync(last)).digest("hex");
    const unsigned = {
      // Of the last file, and not of how many there are: if one was removed, another must not be written over.
      number: last === undefined ? 1 : Number.parseInt(basename(last), 10) + 1,
      issuedAt: new Date().toISOString(),
      subject,
      state,
      statement,
      previous,
      publicKey: createPublicKey(key).export({ type: "spki", format: "der" }).toString("base64"),
    };
    const signature = sign(null, Buffer.from(JSON.stringify(unsigned)), key).toString("base64");
    const certificate = { ...unsigned, signature };
    const path = join(this.#directory, `${String(unsigned.number).padStart(8, "0")}.json`);
    // Whole or not at all: what has another name does not count.
    const draft = `${path}.new`;
    rmSync(draft, { force: true });
    createFile(draft, `${JSON.stringify(certificate, null, 2)}\n`);
    renameSync(draft, path);
    syncDirectory(this.#directory);
    return certificate;
  }

  #files(): string[] {
    if (!existsSync(this.#directory)) return [];
    const names = readdirSync(this.#directory)
      .filter((name) => fileName.test(name))
      .toSorted();
    return names.map((name) => join(this.#directory, name));
  }

  #key(mayMake: boolean): KeyObject {
    const path = join(this.#directory, "key.pem");
    if (!existsSync(path)) {
      if (!mayMake) {
        throw new WeirError("certificate_key_missing", "The key that signs certificates is gone.", {
          where: path,
        });
      }
      makePrivateDirectory(this.#directory);
      const { privateKey } = generateKeyPairSync("ed25519");
      createFile(path, privateKey.export({ type: "pkcs8", format: "pem" }).toString());
      syncDirectory(this.#directory);
    }
    return createPrivateKey(readFileSync(path));
  }
}

function parsed(text: string, where: string): Certificate {
  let cause: unknown;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Certificate;
  } catch (error) {
    cause = error;
  }
  throw new WeirError("certificate_broken", "The file is no certificate.", { where, cause });
}

/** Whether a text says what was read from it and nothing else: of two members with one name only the last is read. */
const saysOnly = (text: string, certificate: Certificate): boolean =>
  text.replaceAll(/("(?:[^"\\]|\\.)*")|[ \t\r\n]+/g, "$1") === JSON.stringify(certificate);

/**
 * Checks a certificate by itself, offline.
 *
 * @param before the text of the one before, to check that this one follows it
 * @param where what to call the text in an error
 * @throws WeirError `certificate_broken` for what is none
 */
export function verifyCertificate(text: string, where: string, before?: string): CertificateVerdict {
  const certificate = parsed(text, where);
  // All that it has otherwise is signed, so that nothing can be put in.
  const { signature, ...unsigned } = certificate;
  const { number, subject, state, issuedAt, publicKey, previous } = unsigned;
  let problem: string | null = null;
  let key = "";
  try {
    const der = Buffer.from(publicKey, "base64");
    key = createHash("sha256").update(der).digest("hex");
    const by = createPublicKey({ key: der, type: "spki", format: "der" });
    if (!saysOnly(text, certificate)) problem = "It says more than what is signed: it was changed.";
    else if (!verify(null, Buffer.from(JSON.stringify(unsigned)), by, Buffer.from(signature, "base64")))
      problem = "The signature is not that of what it says: it was changed.";
  } catch {
    throw new WeirError("certificate_broken", "The file is no certificate.", { where });
  }
  if (problem === null && before !== undefined) {
    const hash = createHash("sha256").update(before).digest("hex");
    if (hash !== previous) problem = "It does not follow the certificate before it.";
  }
  return { ok: problem === null, problem, number, subject, state, issuedAt, key };
}
