import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Server } from "node:https";
import { createSecureContext } from "node:tls";
import { WeirError } from "@weir/contract";

/** Paths of PEM files. */
export interface TlsFiles {
  /** The certificate, and those between it and the root behind it. */
  readonly cert: string;
  /** Its private key, without a passphrase. */
  readonly key: string;
}

export interface TlsPair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** How often the files are looked at: certificates are renewed days before they end. */
export const lookEveryMs = 5_000;

/** @throws WeirError `tls_invalid` where they cannot be read or do not belong together */
export function readTlsPair({ cert, key }: TlsFiles): TlsPair {
  const read = (path: string): Buffer => {
    try {
      return readFileSync(path);
    } catch (cause) {
      throw new WeirError("tls_invalid", `The file cannot be read: ${(cause as Error).message}.`, {
        where: path,
        cause,
      });
    }
  };
  const pair = { cert: read(cert), key: read(key) };
  try {
    createSecureContext(pair);
  } catch (cause) {
    throw new WeirError(
      "tls_invalid",
      `The certificate and the key cannot be used: ${(cause as Error).message}.`,
      {
        where: cert,
        cause,
      },
    );
  }
  return pair;
}

/**
 * The same for what begins to be used: clients refuse a certificate whose time is over, or has not come. (A collector that is started again
 * in a running instance takes it all the same, as those clients that do not look would lose more.)
 *
 * @throws WeirError `tls_invalid`
 */
export function readValidTlsPair(files: TlsFiles, nowMs = Date.now()): TlsPair {
  const pair = readTlsPair(files);
  const { validFrom, validTo } = new X509Certificate(pair.cert);
  if (nowMs < Date.parse(validFrom) || nowMs > Date.parse(validTo)) {
    throw new WeirError(
      "tls_invalid",
      `The certificate is valid from ${validFrom} to ${validTo}, and not now.`,
      {
        where: files.cert,
        remedy: "Renew it, or correct the machine's clock.",
      },
    );
  }
  return pair;
}

/**
 * Has a server use what the files hold from now on, whenever that changes. What cannot be used is reported once, and the pair before it
 * stays: of two files that are being replaced one is first. So is a certificate whose time ends.
 *
 * @returns stops it
 */
export function followTlsFiles(
  server: Server,
  files: TlsFiles,
  first: TlsPair,
  onError: (error: unknown) => void,
  everyMs = lookEveryMs,
): () => void {
  let current = first;
  let told = "";
  const look = (): void => {
    try {
      const pair = readValidTlsPair(files);
      told = "";
      if (pair.cert.equals(current.cert) && pair.key.equals(current.key)) return;
      server.setSecureContext(pair);
      current = pair;
    } catch (error) {
      const message = error instanceof Error ? error.message : "";
      if (message !== told) onError(error);
      told = message;
    }
  };
  const timer = setInterval(look, everyMs).unref();
  return () => clearInterval(timer);
}
