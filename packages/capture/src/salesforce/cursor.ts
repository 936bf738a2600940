import type { Json, JsonObject } from "@weir/contract";
import { isJsonObject } from "@weir/contract";
import type { RowPlace } from "./soql.ts";

/** Where one object goes on. Times are RFC 3339 with milliseconds, by Salesforce's clock. */
export interface ObjectCursor {
  /** Every row whose stamp is up to this has been read; undefined until all have been read once. */
  readonly through?: string | undefined;
  /** The pass that is under way. */
  readonly pass?: Pass | undefined;
  /** Number of the last pass: the second in which it began. */
  readonly lastPass: number;
  /** Names of the fields that all rows were read with, and the hash of the columns that were last told. */
  readonly fields?: readonly string[] | undefined;
  readonly schema?: string | undefined;
  /** Deletions up to this have been asked for. */
  readonly deletedThrough?: string | undefined;
  /** When ids were last compared. */
  readonly comparedAt?: string | undefined;
}

export interface Pass extends SpanPlace {
  readonly number: number;
  /** It reads the rows up to this stamp, from `through` on. */
  readonly upTo: string;
}

/** How far a span of rows has been read. */
export interface SpanPlace {
  /** Pages of the REST API, read up to this row. */
  readonly place?: RowPlace | undefined;
  readonly job?: Job | undefined;
}

/** A job of the Bulk API, whose results are read up to a locator and so many rows behind it. */
export interface Job {
  readonly id: string;
  readonly locator?: string | undefined;
  readonly rows?: number | undefined;
}

export interface SalesforceCursor {
  readonly objects: Readonly<Record<string, ObjectCursor>>;
  readonly usage: JsonObject;
}

const format = 1;

export function savedCursor({ objects, usage }: SalesforceCursor): Json {
  // What is undefined is left out.
  return JSON.parse(JSON.stringify({ format, objects, usage })) as Json;
}

/** What was saved; the beginning for nothing, and for what this version did not write. */
export function loadedCursor(saved: Json | undefined): SalesforceCursor {
  const { format: found, objects, usage } = isJsonObject(saved) ? saved : {};
  if (found !== format || !isJsonObject(objects)) return { objects: {}, usage: {} };
  return {
    objects: objects as unknown as Readonly<Record<string, ObjectCursor>>,
    usage: isJsonObject(usage) ? usage : {},
  };
}
