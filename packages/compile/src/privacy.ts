import type { Contract, Duration } from "@weir/contract";
import type { IdFields } from "./identity-builder.ts";

/**
 * What a project says of the persons that its records are about. Fields that identity tables read name persons as well, and
 * need not be listed.
 */
export interface PrivacySpec {
  /**
   * Whether e-mail addresses and card numbers are masked in free text: strings of which nothing else is declared, members that are not
   * declared, and log lines. Default: as soon as a field of the project is tagged.
   */
  readonly detect?: boolean;
  /**
   * Contracts, or streams of captured sources (`<source>.<stream>`), and their fields that name the person of a record: paths,
   * or paths by kind, as `identity` takes them. A kind is a namespace; an erasure by `email` looks at every field of that kind.
   */
  readonly subjects?: readonly (readonly [Contract | string, IdFields])[];
  /** Within which time an erasure has to be complete. Default 72 h; longer than the log keeps what is loaded. */
  readonly deadline?: Duration;
  /**
   * How long after an erasure the engine of a running instance is started again by itself, to write the state file without the bytes of
   * what was erased. Default 1 h. Erasures that come meanwhile are covered by the same restart.
   */
  readonly rewriteAfter?: Duration;
  /** What an erasure may reach without somebody having said that it may. */
  readonly limits?: {
    /** Identifiers of the person. Default 100. */
    readonly identifiers?: number;
    /** Records. Default 100,000. */
    readonly records?: number;
    /** Share of the records of a contract that has 1,000 or more. Default 0.1. */
    readonly share?: number;
  };
}

/** A field that names the person of a record. The SQL gives the value as text, NULL where there is none. */
export interface SubjectField {
  readonly contract: string;
  readonly kind: string;
  /** Whether a pseudonym of the vault stands for it. */
  readonly isSubject: boolean;
  /** Of a row `r` in the columns of the clean zone. */
  readonly ofRow: string;
  /** Of a record's `r.text`, which is JSON. */
  readonly ofText: string;
}
