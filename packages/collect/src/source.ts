import { type Contract, WeirError } from "@weir/contract";
import { type SourceLimits, defaultSourceLimits, withDefaults } from "./limits.ts";

export interface HttpSourceOptions {
  /** What the source is expected to send. Records of other contracts are kept, and go to quarantine. */
  readonly contracts: readonly Contract[];
  /** Keys that clients authenticate with. None at all is for local development: see `createCollector`. */
  readonly writeKeys?: readonly string[];
  /** Origins of web pages that may send, such as `https://shop.example.com`; default `*`, any. */
  readonly cors?: { readonly origins: readonly string[] };
  readonly limits?: Partial<SourceLimits>;
}

/** A source whose records are sent to the collector, declared. Plain data. */
export interface PushSource {
  /** Which addresses it takes records at. */
  readonly kind: "http" | "logs";
  readonly contracts: readonly Contract[];
  readonly writeKeys: readonly string[];
  readonly cors: { readonly origins: readonly string[] };
  readonly limits: SourceLimits;
}

/** A source of records of any contract. */
export interface HttpSource extends PushSource {
  readonly kind: "http";
}

/**
 * Declares a source whose records are sent to Weir over HTTP (`/v1/events`, the Segment API, CloudEvents).
 *
 * @throws WeirError `invalid_source` for a write key that cannot travel in a header, an origin that is none, a limit that is not
 *   positive, or two contracts that go by one name
 */
export function http(options: HttpSourceOptions): HttpSource {
  const { contracts, writeKeys = [], cors = { origins: ["*"] } } = options;
  checkWriteKeys(writeKeys, "http source");
  for (const origin of cors.origins) checkOrigin(origin);
  checkNames(contracts);
  return {
    kind: "http",
    contracts: [...contracts],
    writeKeys: [...writeKeys],
    cors: { origins: [...cors.origins] },
    limits: withDefaults(defaultSourceLimits, options.limits, "http source"),
  };
}

/**
 * A key is also the user name of Basic authentication (RFC 7617), which must not hold a colon.
 *
 * @throws WeirError `invalid_source`
 */
export function checkWriteKeys(keys: readonly string[], where: string): void {
  for (const key of keys) {
    if (typeof key === "string" && /^[\x21-\x39\x3b-\x7e]{1,256}$/.test(key)) continue;
    throw invalid(
      "A write key must be 1 to 256 printable ASCII characters without spaces and colons.",
      where,
    );
  }
  if (new Set(keys).size < keys.length) throw invalid("A write key is listed twice.", where);
}

function checkOrigin(origin: string): void {
  if (origin === "*") return;
  if (!URL.canParse(origin) || new URL(origin).origin !== origin) {
    throw invalid(
      `${JSON.stringify(origin)} is not an origin; write it as a browser does, such as https://shop.example.com.`,
    );
  }
}

function checkNames(contracts: readonly Contract[]): void {
  const owner = new Map<string, string>();
  for (const { name, aliases } of contracts) {
    for (const sent of [name, ...aliases]) {
      const other = owner.get(sent);
      if (other !== undefined) {
        throw invalid(
          `Both ${other} and ${name} are sent under ${JSON.stringify(sent)}; a name must mean one contract.`,
        );
      }
      owner.set(sent, name);
    }
  }
}

function invalid(message: string, where = "http source"): WeirError {
  return new WeirError("invalid_source", message, { where });
}
