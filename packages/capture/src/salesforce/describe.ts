import type { Json, JsonObject } from "@weir/contract";
import { WeirError, isJsonObject } from "@weir/contract";
import { Refusal, type SalesforceClient } from "./client.ts";

export interface Field {
  readonly name: string;
  /** Salesforce's, with length or precision: `string(80)`, `currency(18,2)`, `datetime`. */
  readonly type: string;
  readonly kind: FieldKind;
}

export type FieldKind = "boolean" | "number" | "datetime" | "text";

/** An object as far as it is read. */
export interface Description {
  readonly name: string;
  /** Sorted by name. */
  readonly fields: readonly Field[];
  /** The field by which changes are found. */
  readonly stamp: string;
  readonly hasIsDeleted: boolean;
  readonly hasCreatedDate: boolean;
  /** `getDeleted` answers for it. */
  readonly isReplicateable: boolean;
}

/** Compound fields repeat their parts, and blobs are no values of a row. Neither can be had from the Bulk API. */
const unread: ReadonlySet<string> = new Set(["address", "location", "complexvalue", "base64"]);
/** Some objects, such as histories of fields, are never changed and have no SystemModstamp. */
const stamps = ["SystemModstamp", "LastModifiedDate", "CreatedDate"];

/**
 * Asks what fields an object has that the source's user may see.
 *
 * @throws WeirError `salesforce_object_unavailable` if it cannot be read by its changes; what the client throws
 */
export async function describe(
  client: SalesforceClient,
  name: string,
  signal: AbortSignal,
): Promise<Description> {
  let described: Json;
  try {
    described = await client.json(`/sobjects/${name}/describe`, signal);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw unavailable(name, `Object ${name} cannot be described: ${error.reason}.`, error);
  }
  const list = isJsonObject(described) ? described["fields"] : undefined;
  if (!isJsonObject(described) || !Array.isArray(list))
    throw unavailable(name, `Object ${name} has no fields.`);
  if (described["queryable"] === false) throw unavailable(name, `Object ${name} cannot be queried.`);
  const fields = list
    .filter(isJsonObject)
    .flatMap(fieldOf)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const has = (field: string): boolean => fields.some((one) => one.name === field);
  const stamp = stamps.find(has);
  if (stamp === undefined || !has("Id")) {
    throw unavailable(name, `Object ${name} has no field that says when a row changed.`);
  }
  return {
    name: typeof described["name"] === "string" ? described["name"] : name,
    fields,
    stamp,
    hasIsDeleted: has("IsDeleted"),
    hasCreatedDate: has("CreatedDate"),
    isReplicateable: described["replicateable"] === true,
  };
}

function fieldOf(described: JsonObject): Field[] {
  const { name, type } = described;
  if (typeof name !== "string" || typeof type !== "string" || unread.has(type)) return [];
  const size = (member: string): number => {
    const value = described[member];
    return typeof value === "number" ? value : 0;
  };
  if (type === "boolean") return [{ name, type, kind: "boolean" }];
  if (type === "int") return [{ name, type, kind: "number" }];
  if (type === "double" || type === "currency" || type === "percent") {
    return [{ name, type: `${type}(${size("precision")},${size("scale")})`, kind: "number" }];
  }
  if (type === "datetime") return [{ name, type, kind: "datetime" }];
  const length = size("length");
  return [{ name, type: length === 0 ? type : `${type}(${length})`, kind: "text" }];
}

function unavailable(name: string, message: string, cause?: unknown): WeirError {
  return new WeirError("salesforce_object_unavailable", message, { where: name, cause });
}
