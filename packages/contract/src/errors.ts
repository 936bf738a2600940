/**
 * Every stable error code in Weir, what it means and what to do. A code never changes its meaning and is never
 * reused; `docs/reference/errors.md` is generated from this list.
 *
 * `status` is the HTTP status the code answers with where it can reach an HTTP client.
 */
export const errorCodes = {
  // Requests
  invalid_write_key: {
    status: 401,
    meaning: "The write key is missing or belongs to no source.",
    remedy: "Send a write key that the project file declares.",
  },
  not_found: {
    status: 404,
    meaning: "There is nothing at this address.",
    remedy: "See docs/reference/http.md for the addresses.",
  },
} as const satisfies Record<string, ErrorCodeEntry>;

export interface ErrorCodeEntry {
  readonly status?: number;
  readonly meaning: string;
  readonly remedy: string;
}

export type ErrorCode = keyof typeof errorCodes;

export interface WeirErrorDetails {
  /** The file, source, table, record or address that the error is about. */
  readonly where?: string;
  /** What to do, where it is more specific than the code's own remedy. */
  readonly remedy?: string;
  readonly cause?: unknown;
}

/** An error that an operator or a client sees. Bugs in Weir itself are plain assertions instead. */
export class WeirError extends Error {
  override readonly name = "WeirError";
  readonly code: ErrorCode;
  readonly where: string | undefined;
  readonly remedy: string;

  constructor(code: ErrorCode, message: string, details: WeirErrorDetails = {}) {
    super(message, details.cause === undefined ? {} : { cause: details.cause });
    this.code = code;
    this.where = details.where;
    this.remedy = details.remedy ?? errorCodes[code].remedy;
  }

  toJSON(): { code: ErrorCode; message: string; where?: string; remedy: string } {
    return {
      code: this.code,
      message: this.message,
      ...(this.where === undefined ? {} : { where: this.where }),
      remedy: this.remedy,
    };
  }
}
