/** Semantic versions (semver.org 2.0.0) of contracts. */

export interface Version {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
  /** Dot-separated identifiers after `-`; empty for a release. */
  readonly prerelease: readonly string[];
}

const numeric = "(?:0|[1-9][0-9]{0,14})";
const identifier = "(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)";
const semver = new RegExp(
  `^(${numeric})\\.(${numeric})\\.(${numeric})` +
    `(?:-(${identifier}(?:\\.${identifier})*))?(?:\\+[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*)?$`,
);

/**
 * Reads `major.minor.patch[-prerelease][+build]` (semver 2.0.0 section 2, 9 and 10); undefined when it is anything else.
 * Build metadata is dropped, as it takes no part in precedence. Each number has at most 15 digits, so it is exact.
 */
export function parseVersion(text: string): Version | undefined {
  if (text.length > 200) return undefined;
  const match = semver.exec(text);
  if (match === null) return undefined;
  return {
    major: Number(match[1]),
    minor: Number(match[2]),
    patch: Number(match[3]),
    prerelease: match[4] === undefined ? [] : match[4].split("."),
  };
}

/** Precedence of two versions (semver 2.0.0 section 11): negative when `a` comes first, 0 when neither does. */
export function compareVersions(a: Version, b: Version): number {
  return (
    a.major - b.major ||
    a.minor - b.minor ||
    a.patch - b.patch ||
    comparePrerelease(a.prerelease, b.prerelease)
  );
}

function comparePrerelease(a: readonly string[], b: readonly string[]): number {
  if (a.length === 0 || b.length === 0) return (a.length === 0 ? 1 : 0) - (b.length === 0 ? 1 : 0);
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const order = compareIdentifier(a[i] ?? "", b[i] ?? "");
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function compareIdentifier(a: string, b: string): number {
  const aNumeric = /^[0-9]+$/.test(a);
  const bNumeric = /^[0-9]+$/.test(b);
  if (aNumeric && bNumeric) return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
  if (aNumeric !== bNumeric) return aNumeric ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * Whether a deployed contract reads a record that was sent as `name@sentVersion`: it does when the major versions are
 * equal, older or newer. A version that is not a semantic version is readable by nothing (`unknown_version`).
 */
export function readableBy(sentVersion: string, contract: { readonly version: string }): boolean {
  const sent = parseVersion(sentVersion);
  return sent !== undefined && sent.major === parseVersion(contract.version)?.major;
}
