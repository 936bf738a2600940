import { createHmac } from "node:crypto";
import { WeirError } from "@weir/contract";
import { Stripe } from "stripe";
import { describe, expect, test } from "vitest";
import { verifySignature } from "./signature.ts";

const nowMs = Date.UTC(2026, 10, 1, 12);
const now = nowMs / 1000;
const secret = "whsec_new";
const old = "whsec_old";
const payload = '{"id":"evt_1","name":"Zoë 😀"}';
const body = Buffer.from(payload);
const rules = { secrets: [secret], toleranceMs: 300_000 };

/** Stripe's own signer. */
const signed = (
  given: { secret?: string; timestamp?: number; payload?: string; scheme?: string } = {},
): string => Stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp: now, ...given });
const v1 = (header: string): string => header.replace(/^t=\d+,/, "");

function codeOf(
  header: string | undefined,
  given: Partial<typeof rules> = {},
  bytes: Uint8Array = body,
): string {
  try {
    verifySignature(header, bytes, { ...rules, ...given }, nowMs);
    return "accepted";
  } catch (error) {
    if (error instanceof WeirError) return error.code;
    throw error;
  }
}

describe("accepted", () => {
  test.each<[string, string, Partial<typeof rules>]>([
    ["Stripe's own header", signed(), {}],
    ["with a space behind the commas", signed().replaceAll(",", ", "), {}],
    [
      "the secret that is being replaced, first of several",
      signed({ secret: old }),
      { secrets: [old, secret] },
    ],
    ["the secret that replaces it, second of several", signed(), { secrets: [old, secret] }],
    [
      "signed with both secrets while Stripe rotates: ours is the second",
      `${signed({ secret: old })},${v1(signed())}`,
      {},
    ],
    ["signed with both secrets: ours is the first", `${signed()},${v1(signed({ secret: old }))}`, {}],
    ["a scheme that we do not know beside ours", `${signed()},v0=${"0".repeat(64)},v2=abc`, {}],
    ["300 s old", signed({ timestamp: now - 300 }), {}],
    ["300 s ahead", signed({ timestamp: now + 300 }), {}],
  ])("%s", (_, header, given) => expect(codeOf(header, given)).toBe("accepted"));
});

describe("refused", () => {
  const hex = createHmac("sha256", secret).update(`${now}.${payload}`).digest("hex");
  test.each<[string, string | undefined, string?]>([
    ["no header", undefined],
    ["an empty header", ""],
    ["not a header of this kind", "nonsense"],
    ["another secret", signed({ secret: "whsec_other" })],
    ["an empty secret", signed({ secret: " " })],
    ["another body", signed({ payload: `${payload} ` })],
    ["another time than was signed", signed().replace(/t=\d+/, `t=${now - 1}`)],
    ["a right signature under another scheme", signed({ scheme: "v0" })],
    ["no signature", `t=${now}`],
    ["no time", v1(signed())],
    ["two times, of which the first was signed", signed().replace(",", `,t=${now - 900},`)],
    ["two times, of which the second was signed", `t=${now - 900},${signed()}`],
    ["a time that is no number", signed().replace(/t=\d+/, "t=NaN")],
    ["a time with a sign", signed().replace("t=", "t=+")],
    ["a time in milliseconds", signed({ timestamp: nowMs })],
    ["upper case hex, which Stripe does not send", `t=${now},v1=${hex.toUpperCase()}`],
    ["a signature cut short", `t=${now},v1=${hex.slice(0, 62)}`],
    ["a signature with more behind it", `t=${now},v1=${hex}00`],
    ["a signature of no bytes", `t=${now},v1=`],
    ["a signature that is not hex", `t=${now},v1=${"z".repeat(64)}`],
    ["a signature in base64", `t=${now},v1=${Buffer.from(hex, "hex").toString("base64")}`],
    [
      "more signatures than there are secrets in the world",
      `${signed()}${`,v1=${"0".repeat(64)}`.repeat(40)}`,
    ],
    ["301 s old", signed({ timestamp: now - 301 }), "webhook_signature_expired"],
    ["301 s ahead", signed({ timestamp: now + 301 }), "webhook_signature_expired"],
    [
      "an old time and a wrong signature: nothing is said about the time",
      signed({ secret: old, timestamp: 1 }),
    ],
  ])("%s", (_, header, code = "webhook_signature_invalid") => expect(codeOf(header)).toBe(code));

  test("a body that decodes to the same text, but is not the same bytes", () => {
    const replaced = '{"id":"evt_1","name":"\uFFFD"}';
    const broken = Buffer.from('{"id":"evt_1","name":"\xff"}', "latin1");
    expect(broken.toString()).toBe(replaced);
    expect(codeOf(signed({ payload: replaced }), {}, broken)).toBe("webhook_signature_invalid");
  });

  test("everything, without secrets", () => {
    expect(codeOf(signed(), { secrets: [] })).toBe("webhook_signature_invalid");
  });
});

test("what Stripe's own check accepts with a tolerance, ours accepts", () => {
  for (const timestamp of [now, now - 299, now - 300]) {
    const header = signed({ timestamp });
    expect(() =>
      Stripe.webhooks.constructEvent(payload, header, secret, 300, undefined, nowMs),
    ).not.toThrow();
    expect(codeOf(header)).toBe("accepted");
  }
});
