import type { Contract, JSONSchema } from "@weir/contract";
import type { Measure } from "./measure.ts";
import type { PrivacySpec } from "./privacy.ts";

/** Part of a key: a field by its dotted path, or who a record is of. */
export type KeyPart = string | PersonKey;

/** The person that a record is of, by an identity table. */
export interface PersonKey {
  /** The identity table. */
  readonly person: string;
  /** Fields that hold ids of that table; the first that has one counts. */
  readonly fields: readonly string[];
  /** The name of the key's column. */
  readonly column: string;
}

/** Gap-based sessions per key. Records with no key belong to no session. */
export interface SessionsSpec {
  readonly kind: "sessions";
  readonly from: readonly Contract[];
  readonly by: readonly KeyPart[];
  readonly gapMs: number;
  readonly measures: Readonly<Record<string, Measure>>;
}

/** Measures per group and, where there is a window, per event-time window; without one, running totals. */
export interface RollupSpec {
  readonly kind: "rollup";
  readonly from: readonly Contract[];
  readonly by: readonly KeyPart[];
  readonly windowMs?: number;
  readonly measures: Readonly<Record<string, Measure>>;
}

/** Things that records tell the state of: one row a thing as it is now, and its history. */
export interface EntitySpec {
  readonly kind: "entity";
  /** A stream of a captured source, `<source>.<stream>`; or contracts. */
  readonly from: string | readonly Contract[];
  /** Columns that name a thing. */
  readonly key: readonly string[];
  /** Of a stream: the columns that have a type of their own, as effective schemas. The others are in `_extra`. */
  readonly columns: Readonly<Record<string, JSONSchema>>;
  /** Of contracts: the field by which states are ordered, in place of the event time. */
  readonly version?: string;
  /** Columns that only rise, each with its values from the lowest up. */
  readonly lattice: Readonly<Record<string, readonly string[]>>;
  /** A record with this value says that the thing is gone. */
  readonly deleted?: { readonly field: string; readonly equals: string | number | boolean };
}

/** Records with columns of the entity that each names. */
export interface EnrichSpec {
  readonly kind: "enrich";
  readonly from: Contract;
  /** The entity. */
  readonly to: string;
  /** Paths in the record, and the columns of the entity's key that they equal. */
  readonly on: Readonly<Record<string, string>>;
  /** Columns of the entity; they are named with the prefix. */
  readonly take: readonly string[];
  readonly prefix: string;
  /** Paths in the record that become columns. */
  readonly keep: readonly string[];
  /** Whether the entity is taken as it was at the record's event time, not as it is. */
  readonly asOf: boolean;
  /** A record without a parent is held back until something was received this much later than it. */
  readonly graceMs?: number;
}

/** A query over other tables, computed anew for the keys whose rows changed. */
export interface DeriveSpec {
  readonly kind: "derive";
  /** Tables by the names that the query has for them. */
  readonly from: Readonly<Record<string, string>>;
  /** Columns of the query that name a row. */
  readonly key: readonly string[];
  /** For each name in `from`, how its rows tell which derived key they belong to. */
  readonly keys: Readonly<Record<string, DeriveMapping>>;
  /** One SELECT. */
  readonly sql: string;
}

export type DeriveMapping =
  /** Columns of the derived key, and the input's columns that carry them. */
  | { readonly columns: Readonly<Record<string, string>>; readonly via?: never }
  /** Through the rows of another input: its columns, and the input's columns that they equal. */
  | { readonly via: string; readonly on: Readonly<Record<string, string>> };

/** Which ids are of one person: the connected components of the ids that records bring together. */
export interface IdentitySpec {
  readonly kind: "identity";
  /** A contract may be there more than once: ids of different links are not of one person for being in one record. */
  readonly links: readonly IdentityLink[];
  /** Values that are no ids. */
  readonly ignore: readonly string[];
  /** A person of more ids than this is reported. */
  readonly warnAbove: number;
}

/** The ids of a person that each record of a contract brings. */
export interface IdentityLink {
  readonly contract: Contract;
  readonly ids: readonly { readonly kind: string; readonly path: string }[];
}

export type TableSpec = SessionsSpec | RollupSpec | EntitySpec | EnrichSpec | DeriveSpec | IdentitySpec;

/** A source as the compiler sees it: what it may bring. */
export interface SourceContracts {
  readonly contracts: readonly Contract[];
}

/** A project: what `defineProject` takes, less what only other packages need. */
export interface ProjectSpec {
  readonly name: string;
  readonly sources: Readonly<Record<string, SourceContracts>>;
  readonly tables: Readonly<Record<string, TableSpec>>;
  readonly privacy?: PrivacySpec;
}
