import { createHmac, timingSafeEqual } from "node:crypto";
import { WeirError } from "@weir/contract";

export interface SignatureRules {
  /** Any one of them may have signed. */
  readonly secrets: readonly string[];
  readonly toleranceMs: number;
}

/** A header with more is no call of Stripe's, which sends one per secret that is valid; each costs a comparison. */
const maxSignatures = 32;

/**
 * Returns if one of the secrets made a signature of the header `Stripe-Signature`, `t=<seconds>,v1=<hex>[,v1=<hex>...]`: HMAC-SHA256 over
 * `<t>.<body>` (docs.stripe.com/webhooks/signature). Other schemes, such as v0 of test events, count for nothing. All signatures
 * are compared with all secrets in constant time. The body is taken as bytes: decoding it would sign something else.
 *
 * @throws WeirError `webhook_signature_invalid`; `webhook_signature_expired` for a right one whose time is more than `toleranceMs` away
 */
export function verifySignature(
  header: string | undefined,
  body: Uint8Array,
  { secrets, toleranceMs }: SignatureRules,
  nowMs: number,
): void {
  if (header === undefined || header === "") throw invalid("The call has no Stripe-Signature header.");
  const { time, signatures } = parse(header);
  if (signatures.length === 0) throw invalid("The Stripe-Signature header has no signature of scheme v1.");
  let isSigned = false;
  for (const secret of secrets) {
    const expected = createHmac("sha256", secret).update(`${time}.`).update(body).digest();
    for (const signature of signatures) if (timingSafeEqual(expected, signature)) isSigned = true;
  }
  if (!isSigned) throw invalid("No secret of the source made the signature of this body.");
  const ageMs = nowMs - Number(time) * 1000;
  if (Math.abs(ageMs) > toleranceMs) {
    const ago =
      ageMs > 0 ? `${Math.round(ageMs / 1000)} s ago` : `${Math.round(-ageMs / 1000)} s in the future`;
    throw new WeirError("webhook_signature_expired", `The call was signed ${ago}.`);
  }
}

function parse(header: string): { time: string; signatures: Buffer[] } {
  let time: string | undefined;
  const signatures: Buffer[] = [];
  for (const item of header.split(",")) {
    const equals = item.indexOf("=");
    const name = item.slice(0, Math.max(equals, 0)).trim();
    const value = item.slice(equals + 1).trim();
    if (name === "t") {
      // A second time could be the one that is checked while the first is the one that was signed.
      if (time !== undefined) throw invalid("The Stripe-Signature header has several times.");
      if (!/^\d{1,11}$/.test(value)) throw invalid("The Stripe-Signature header has a time that is none.");
      time = value;
    } else if (name === "v1" && /^[0-9a-f]{64}$/.test(value)) {
      if (signatures.length === maxSignatures)
        throw invalid("The Stripe-Signature header has too many signatures.");
      signatures.push(Buffer.from(value, "hex"));
    }
  }
  if (time === undefined) throw invalid("The Stripe-Signature header has no time.");
  return { time, signatures };
}

const invalid = (message: string): WeirError => new WeirError("webhook_signature_invalid", message);
