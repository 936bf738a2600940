import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from "node:crypto";

/** AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce: `nonce | ciphertext | tag`. */
const nonceBytes = 12;
const tagBytes = 16;
export const keyBytes = 32;

export const newKey = (): Buffer => Buffer.from(takeRandom(keyBytes));

export function encrypt(key: Buffer, plain: Buffer): Buffer {
  const nonce = randomNonce();
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  const body = cipher.update(plain);
  cipher.final();
  return Buffer.concat([nonce, body, cipher.getAuthTag()]);
}

/** The plain bytes; undefined where the key is not the one that encrypted them, or a byte was changed. */
export function decrypt(key: Buffer, sealed: Uint8Array): Buffer | undefined {
  if (sealed.length < nonceBytes + tagBytes) return undefined;
  const end = sealed.length - tagBytes;
  const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, nonceBytes));
  decipher.setAuthTag(sealed.subarray(end));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, end)), decipher.final()]);
  } catch {
    return undefined;
  }
}

const blockBytes = 16;

/**
 * A text of 22 characters for each number, by AES-256 of number and salt as one block (FIPS 197): no two have the same, and without
 * the key nothing leads from one to the other.
 *
 * @param saltOf 8 bytes
 */
export function numberTexts(
  key: Buffer,
  numbers: Float64Array,
  saltOf: (number: number) => Buffer,
): string[] {
  const blocks = Buffer.alloc(numbers.length * blockBytes);
  for (const [i, number] of numbers.entries()) {
    blocks.writeUInt32LE(number % 2 ** 32, i * blockBytes);
    blocks.writeUInt32LE(Math.floor(number / 2 ** 32), i * blockBytes + 4);
    saltOf(number).copy(blocks, i * blockBytes + 8);
  }
  // Each block stands for itself: none is there twice that means two things.
  const cipher = createCipheriv("aes-256-ecb", key, null).setAutoPadding(false);
  const texts = cipher.update(blocks);
  return Array.from(numbers, (_, i) => texts.toString("base64url", i * blockBytes, (i + 1) * blockBytes));
}

/** A record's content with the vault's key, as the compiler's content.ts makes it in SQL. */
export const keyedContent = (secret: string, content: bigint): bigint =>
  createHash("md5").update(`${secret}${content}`).digest().readBigUInt64LE(8);

/** A key for one purpose from a key for many (HKDF-SHA-256, RFC 5869). */
export const keyFor = (key: Buffer, purpose: string): Buffer =>
  Buffer.from(hkdfSync("sha256", key, "", `weir vault ${purpose}`, keyBytes));

let pool = Buffer.alloc(0);
let used = 0;

/** From a pool: a call of `randomBytes` costs 1 us, and every value needs a nonce. */
function randomNonce(): Buffer {
  return takeRandom(nonceBytes);
}

/** So many random bytes, of which no two calls get the same. */
export function takeRandom(bytes: number): Buffer {
  if (used + bytes > pool.length) {
    pool = randomBytes(8192);
    used = 0;
  }
  used += bytes;
  return pool.subarray(used - bytes, used);
}
