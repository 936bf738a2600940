import { WeirError, changeContract, durationMs, rowTagsProblem } from "@weir/contract";
import type { Contract, Duration, RowTags } from "@weir/contract";

/** How the source logs in: a connected app, and what vouches for its user. */
export type SalesforceAuth =
  /** OAuth 2.0 client credentials: the user that the connected app runs as. Needs the My Domain address as loginUrl. */
  | { readonly clientId: string; readonly clientSecret: string }
  /** OAuth 2.0 refresh token. */
  | { readonly clientId: string; readonly clientSecret?: string; readonly refreshToken: string }
  /** OAuth 2.0 JWT bearer: the private key (PEM) of the certificate that the connected app has. */
  | { readonly clientId: string; readonly username: string; readonly privateKey: string };

export interface SalesforceOptions {
  /** Where to log in: `https://acme.my.salesforce.com`, or login.salesforce.com, test.salesforce.com (not for client credentials). */
  readonly loginUrl: string;
  /** Where the data is, if not where the login says. */
  readonly instanceUrl?: string;
  readonly auth: SalesforceAuth;
  /** API names, such as `Account`, `Order__c`. Each becomes a stream. */
  readonly objects: readonly string[];
  /** Default 62.0. */
  readonly apiVersion?: string;
  /** How often each object is asked for changes; default 5m. */
  readonly every?: Duration;
  /** Rows are read when their SystemModstamp is so old, because others may become visible late; default 5m. */
  readonly settleLag?: Duration;
  /** Share of the organisation's daily API requests that the source may use; default 0.5. */
  readonly quotaShare?: number;
  /** `auto` takes the Bulk API for more than `bulkRows` rows. Default auto. */
  readonly mode?: "auto" | "rest" | "bulk";
  /** Default 20,000: ten pages of the REST API. */
  readonly bulkRows?: number;
  /** How often all ids are compared with those seen, to find rows that were purged; default 24h; false: never. */
  readonly compareIds?: Duration | false;
  /** The largest part of an object's rows that a comparison may find gone and delete; default 0.2. Above, it only warns. */
  readonly compareMaxMissing?: number;
  /** Personal columns, by stream: `{ Contact: { Id: "subject", Email: "email" } }`. See docs/guide/privacy.md. */
  readonly pii?: RowTags;
}

/** Salesforce objects, declared. Plain data, with secrets. */
export interface SalesforceSource {
  readonly kind: "salesforce";
  readonly loginUrl: string;
  readonly instanceUrl: string | undefined;
  readonly auth: SalesforceAuth;
  readonly objects: readonly string[];
  readonly apiVersion: string;
  readonly everyMs: number;
  readonly settleMs: number;
  readonly quotaShare: number;
  readonly mode: "auto" | "rest" | "bulk";
  readonly bulkRows: number;
  /** Undefined: never. */
  readonly compareMs: number | undefined;
  readonly compareMaxMissing: number;
  /** The contracts of its records; the name is the one the project gives the source. */
  contractsFor(source: string): readonly Contract[];
}

/**
 * Declares Salesforce objects as a source of changes, see docs/guide/salesforce.md.
 *
 * @throws WeirError `invalid_source`, `duration_invalid`
 */
export function salesforce(options: SalesforceOptions): SalesforceSource {
  const { objects, apiVersion = "62.0", quotaShare = 0.5, mode = "auto", bulkRows = 20_000 } = options;
  const { compareIds = "24h", compareMaxMissing = 0.2 } = options;
  if (objects.length === 0) throw invalid("objects is empty.");
  for (const name of objects) {
    // It becomes part of addresses and queries.
    if (!/^[A-Za-z]\w{0,254}$/.test(name))
      throw invalid(`${JSON.stringify(name)} is no API name of an object.`);
  }
  if (new Set(objects.map((name) => name.toLowerCase())).size < objects.length) {
    throw invalid("An object is listed twice.");
  }
  if (!/^\d{2,3}\.0$/.test(apiVersion))
    throw invalid(`apiVersion ${JSON.stringify(apiVersion)} is none such as 62.0.`);
  if (!(quotaShare > 0 && quotaShare <= 1)) throw invalid("quotaShare must be above 0 and at most 1.");
  if (!(compareMaxMissing >= 0 && compareMaxMissing <= 1))
    throw invalid("compareMaxMissing must be from 0 to 1.");
  if (!(Number.isInteger(bulkRows) && bulkRows >= 0)) throw invalid("bulkRows must be a whole number.");
  checkAuth(options.auth);
  const { pii = {} } = options;
  const problem = rowTagsProblem(pii);
  if (problem !== undefined) throw invalid(`${problem}.`);
  const everyMs = durationMs(options.every ?? "5m");
  if (everyMs === 0) throw invalid("every must be longer than 0.");
  return {
    kind: "salesforce",
    loginUrl: origin(options.loginUrl, "loginUrl"),
    instanceUrl: options.instanceUrl === undefined ? undefined : origin(options.instanceUrl, "instanceUrl"),
    auth: { ...options.auth },
    objects: [...objects],
    apiVersion,
    everyMs,
    settleMs: durationMs(options.settleLag ?? "5m"),
    quotaShare,
    mode,
    bulkRows,
    compareMs: compareIds === false ? undefined : durationMs(compareIds),
    compareMaxMissing,
    contractsFor: (source) => [changeContract(source, pii)],
  };
}

function checkAuth(auth: SalesforceAuth): void {
  for (const [name, value] of Object.entries(auth)) {
    if (typeof value !== "string" || value === "") throw invalid(`auth.${name} is empty.`);
  }
  const ways = ["clientSecret", "refreshToken", "privateKey"].filter((name) => name in auth);
  if (!("clientId" in auth) || ways.length === 0 || ("privateKey" in auth && !("username" in auth))) {
    throw invalid(
      "auth needs clientId and one of: clientSecret; refreshToken (with or without clientSecret); username and privateKey.",
    );
  }
}

/** Tokens are sent there, so nothing but this machine may be asked without TLS. */
function origin(url: string, name: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const isLocal = parsed?.hostname === "127.0.0.1" || parsed?.hostname === "localhost";
  if (parsed === undefined || !(parsed.protocol === "https:" || (parsed.protocol === "http:" && isLocal))) {
    throw invalid(`${name} ${JSON.stringify(url)} is no address such as https://acme.my.salesforce.com.`);
  }
  return parsed.origin;
}

function invalid(message: string): WeirError {
  return new WeirError("invalid_source", message, { where: "salesforce source" });
}
