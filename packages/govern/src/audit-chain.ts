import { createHash } from "node:crypto";

/** What was done, and by whom. */
export interface AuditAction {
  /** Name of the token; `local` for who has the files of the instance anyway; `anyone` where no token is asked for. */
  readonly actor: string;
  readonly role: string;
  /** Such as `query` or `token.create`. */
  readonly action: string;
  /** What it was done to. */
  readonly target: string | null;
  readonly detail: Readonly<Record<string, string | number | boolean | null>>;
}

/** An entry of the audit log. */
export interface AuditEntry extends AuditAction {
  /** From 1, without gaps. */
  readonly number: number;
  /** ISO 8601, of the machine's clock. */
  readonly at: string;
  /** The hash of the entry before; 64 zeros before the first. */
  readonly previous: string;
  /** SHA-256, in hexadecimal, of the entry's line as it is without this member. */
  readonly hash: string;
}

export const firstPrevious = "0".repeat(64);

type Unhashed = Omit<AuditEntry, "hash">;

const lineWithout = ({ number, at, actor, role, action, target, detail, previous }: Unhashed): string =>
  JSON.stringify({ number, at, actor, role, action, target, detail, previous });

/** The next entry, and its line without the LF. */
export function nextEntry(
  done: AuditAction,
  number: number,
  at: string,
  previous: string,
): { entry: AuditEntry; line: string } {
  const unhashed = { ...done, number, at, previous };
  const text = lineWithout(unhashed);
  const hash = createHash("sha256").update(text).digest("hex");
  return { entry: { ...unhashed, hash }, line: `${text.slice(0, -1)},"hash":"${hash}"}` };
}

/**
 * Reads a line and checks that it is the entry that follows.
 *
 * @param expected what the entry before says; undefined where that is not known
 * @returns a text that says what is wrong, or the entry
 */
export function checkLine(
  line: string,
  expected: { readonly number: number; readonly previous: string } | undefined,
): AuditEntry | string {
  let entry: AuditEntry;
  try {
    entry = JSON.parse(line) as AuditEntry;
    const { line: again } = nextEntry(entry, entry.number, entry.at, entry.previous);
    if (again !== line) return "was changed";
  } catch {
    return "is no entry";
  }
  if (expected === undefined) return entry;
  if (entry.number !== expected.number) return `has number ${entry.number} instead of ${expected.number}`;
  return entry.previous === expected.previous ? entry : "does not follow the entry before";
}
