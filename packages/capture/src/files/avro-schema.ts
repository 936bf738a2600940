import { isJsonObject } from "@weir/contract";
import type { Json, JsonObject } from "@weir/contract";
import type { AvroBytes } from "./avro-bytes.ts";
import { DamagedFile } from "./open-file.ts";
import { type TypedValue, bigEndian, clockOf, dayOf, decimalOf, timeOf } from "./typed-value.ts";

/** Reads one value of a type. */
export type AvroReader = (bytes: AvroBytes) => TypedValue;

/** A record as its fields, in the order of the schema. */
export interface AvroRecord {
  readonly fields: readonly { readonly name: string; readonly read: AvroReader }[];
}

/**
 * The reader of the records of a schema (Apache Avro 1.12, Schema Declaration), which must be of a record. Values are taken as they
 * were written; there is no other schema that they would be resolved to.
 *
 * @throws DamagedFile
 */
export function avroRecord(schemaText: string): AvroRecord {
  let schema: Json;
  try {
    schema = JSON.parse(schemaText) as Json;
  } catch (cause) {
    throw new DamagedFile(`Its schema is no JSON: ${(cause as Error).message}.`);
  }
  if (!isJsonObject(schema) || schema["type"] !== "record")
    throw new DamagedFile("Its schema is not of a record.");
  const types = new Types();
  types.readerOf(schema, "");
  return { fields: types.fieldsOf(schema, namespaceOf(schema, "")) };
}

class Types {
  readonly #named = new Map<string, AvroReader>();

  readerOf(schema: Json | undefined, namespace: string): AvroReader {
    if (typeof schema === "string") return this.#byName(schema, namespace);
    if (Array.isArray(schema))
      return unionReader(schema.map((branch: Json) => this.readerOf(branch, namespace)));
    if (!isJsonObject(schema)) throw new DamagedFile("Its schema has a type that is none.");
    const { type } = schema;
    const kind = typeof type === "string" ? type : "";
    const logical = logicalReader(schema);
    switch (kind) {
      case "record":
      case "error":
        return this.#record(schema, namespace);
      case "enum":
        return this.#name(schema, namespace, enumReader(schema));
      case "fixed":
        return this.#name(schema, namespace, logical ?? fixedReader(schema));
      case "array":
        return arrayReader(this.readerOf(schema["items"], namespace));
      case "map":
        return mapReader(this.readerOf(schema["values"], namespace));
      default:
        return logical ?? this.readerOf(type, namespace);
    }
  }

  fieldsOf(schema: JsonObject, namespace: string): AvroRecord["fields"] {
    const { fields } = schema;
    if (!Array.isArray(fields)) throw new DamagedFile("Its schema has a record without fields.");
    return fields.map((field: Json) => {
      if (!isJsonObject(field) || typeof field["name"] !== "string")
        throw new DamagedFile("Its schema has a field without a name.");
      return { name: field["name"], read: this.readerOf(field["type"], namespace) };
    });
  }

  #byName(name: string, namespace: string): AvroReader {
    const read =
      primitives.get(name) ??
      this.#named.get(name.includes(".") ? name : qualified(name, namespace)) ??
      this.#named.get(name);
    if (read === undefined)
      throw new DamagedFile(`Its schema names the type ${JSON.stringify(name)}, which it does not define.`);
    return read;
  }

  #name(schema: JsonObject, namespace: string, read: AvroReader): AvroReader {
    const { name } = schema;
    if (typeof name !== "string") throw new DamagedFile("Its schema has a named type without a name.");
    this.#named.set(name.includes(".") ? name : qualified(name, namespaceOf(schema, namespace)), read);
    return read;
  }

  /** Known by its name before its fields are read, as they may be of its own type. */
  #record(schema: JsonObject, namespace: string): AvroReader {
    let fields: AvroRecord["fields"] = [];
    const read = this.#name(schema, namespace, (bytes) => {
      bytes.descend();
      const members = new Map<string, TypedValue>();
      for (const field of fields) members.set(field.name, field.read(bytes));
      bytes.ascend();
      return members;
    });
    fields = this.fieldsOf(schema, namespaceOf(schema, namespace));
    return read;
  }
}

const qualified = (name: string, namespace: string): string =>
  namespace === "" ? name : `${namespace}.${name}`;

function namespaceOf({ name, namespace }: JsonObject, enclosing: string): string {
  if (typeof name === "string" && name.includes(".")) return name.slice(0, name.lastIndexOf("."));
  return typeof namespace === "string" ? namespace : enclosing;
}

const primitives: ReadonlyMap<string, AvroReader> = new Map<string, AvroReader>([
  ["null", () => null],
  ["boolean", (bytes) => bytes.boolean()],
  ["int", (bytes) => bytes.long()],
  ["long", (bytes) => bytes.long()],
  ["float", (bytes) => bytes.float()],
  ["double", (bytes) => bytes.double()],
  ["bytes", (bytes) => bytes.bytes()],
  ["string", (bytes) => bytes.string()],
]);

function unionReader(branches: readonly AvroReader[]): AvroReader {
  return (bytes) => {
    const branch = branches[Number(bytes.long())];
    if (branch === undefined) throw new DamagedFile("A union has no such branch.");
    return branch(bytes);
  };
}

function enumReader({ symbols }: JsonObject): AvroReader {
  if (!Array.isArray(symbols)) throw new DamagedFile("Its schema has an enum without symbols.");
  return (bytes) => {
    const symbol = (symbols as readonly Json[])[Number(bytes.long())];
    if (typeof symbol !== "string") throw new DamagedFile("An enum has no such symbol.");
    return symbol;
  };
}

function fixedReader(schema: JsonObject): AvroReader {
  const size = sizeOf(schema);
  return (bytes) => bytes.take(size);
}

function sizeOf({ size }: JsonObject): number {
  if (typeof size === "number" && Number.isInteger(size) && size >= 0) return size;
  throw new DamagedFile("Its schema has a fixed type without a size.");
}

function arrayReader(read: AvroReader): AvroReader {
  return (bytes) => {
    const items: TypedValue[] = [];
    bytes.descend();
    bytes.blocks(() => items.push(read(bytes)));
    bytes.ascend();
    return items;
  };
}

function mapReader(read: AvroReader): AvroReader {
  return (bytes) => {
    const members = new Map<string, TypedValue>();
    bytes.descend();
    bytes.blocks(() => members.set(bytes.string(), read(bytes)));
    bytes.ascend();
    return members;
  };
}

/** The reader of a logical type; undefined for those that are not known, which readers must ignore. */
function logicalReader(schema: JsonObject): AvroReader | undefined {
  const { type, scale = 0 } = schema;
  const logicalType = typeof schema["logicalType"] === "string" ? schema["logicalType"] : "";
  switch (logicalType) {
    case "decimal": {
      if (typeof scale !== "number" || (type !== "bytes" && type !== "fixed")) return undefined;
      const size = type === "fixed" ? sizeOf(schema) : undefined;
      return (bytes) => decimalOf(bigEndian(size === undefined ? bytes.bytes() : bytes.take(size)), scale);
    }
    case "date":
      return (bytes) => dayOf(Number(bytes.long()));
    case "time-millis":
      return (bytes) => clockOf(BigInt(bytes.long()), "milli");
    case "time-micros":
      return (bytes) => clockOf(BigInt(bytes.long()), "micro");
    case "uuid": {
      if (type !== "fixed") return undefined;
      return (bytes) =>
        Buffer.from(bytes.take(16))
          .toString("hex")
          .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
    }
    default: {
      const [, local, unit] = /^(local-)?timestamp-(milli|micro|nano)s$/.exec(logicalType) ?? [];
      if (unit === undefined || type !== "long") return undefined;
      return (bytes) => {
        const units = BigInt(bytes.long());
        return timeOf(units, unit as "milli", local === undefined) ?? units;
      };
    }
  }
}
