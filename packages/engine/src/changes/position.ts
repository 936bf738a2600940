import { WeirError } from "@weir/contract";

/**
 * Where a reader of a table's changes is. Changes are ordered by commit, then by key; a key appears once, at the commit
 * that last changed it, and so moves forward when it changes again.
 */
export interface ChangePosition {
  /** Everything up to this commit has been read; of the commit itself, up to `key`. */
  readonly commit: number;
  /** Values of the key columns, as texts; undefined: the whole commit. */
  readonly key?: readonly (string | null)[];
  /**
   * The last commit when the reader began with nothing, while it reads rows that were last changed before it. It needs no
   * word of what went before it.
   */
  readonly from?: number;
  /** Of which build of the table. A commit number alone does not tell that the table was built anew since. */
  readonly build?: string;
}

const pattern = /^(?:([\da-f]{8})\.)?(\d{1,15})(?:\.(\d{1,15})?(?:\.([\w-]+))?)?$/;

/** A position as text of URL-safe ASCII: `<build>.<commit>[.<from>[.<key>]]`, or a commit number alone. */
export function positionText({ commit, key, from, build }: ChangePosition): string {
  const keyText = key === undefined ? "" : Buffer.from(JSON.stringify(key)).toString("base64url");
  const tail = `.${from ?? ""}.${keyText}`.replace(/\.+$/, "");
  return `${build === undefined ? "" : `${build}.`}${commit}${tail}`;
}

/** @throws WeirError `invalid_usage` for what `positionText` does not write */
export function parsePosition(text: string): ChangePosition {
  const match = pattern.exec(text);
  const key = match?.[4] === undefined ? undefined : parseKey(match[4]);
  if (match === null || (match[4] !== undefined && key === undefined)) {
    throw new WeirError("invalid_usage", "The position is none that this API gave, and no commit number.", {
      where: text.slice(0, 100),
      remedy: "Give the id of the last event that was received, or 0 for all rows.",
    });
  }
  return {
    commit: Number(match[2]),
    ...(match[1] === undefined ? {} : { build: match[1] }),
    ...(match[3] === undefined ? {} : { from: Number(match[3]) }),
    ...(key === undefined ? {} : { key }),
  };
}

function parseKey(text: string): (string | null)[] | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, "base64url").toString("utf8"));
    return Array.isArray(value) && value.every((item) => item === null || typeof item === "string")
      ? (value as (string | null)[])
      : undefined;
  } catch {
    return undefined;
  }
}
