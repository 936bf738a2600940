import { createHash } from "node:crypto";
import type { Contract } from "./contract.ts";
import { canonicalJson } from "./json.ts";
import type { JSONSchema } from "./schema.ts";

/** A contract as `/contracts` serves it: plain JSON. */
export interface ContractDescription {
  readonly name: string;
  readonly version: string;
  readonly owner: string;
  readonly description?: string;
  readonly id: string;
  readonly key?: string;
  readonly time: string;
  readonly latenessMs: number;
  readonly aliases: readonly string[];
  readonly schema: JSONSchema;
  readonly hash: string;
}

/** Everything a contract says, and its hash. The schema names its draft, so that it stands on its own. */
export function describeContract(contract: Contract): ContractDescription {
  const { name, version, owner, description, id, key, time, latenessMs, aliases, schema } = contract;
  return {
    name,
    version,
    owner,
    ...(description === undefined ? {} : { description }),
    id,
    ...(key === undefined ? {} : { key }),
    time,
    latenessMs,
    aliases,
    schema: { $schema: "https://json-schema.org/draft/2020-12/schema", ...schema },
    hash: contractHash(contract),
  };
}

/**
 * SHA-256, in hexadecimal, of the contract as canonical JSON (RFC 8785). It changes when anything in the definition does, down to
 * a description, and not with the order in which members are written.
 */
export function contractHash(contract: Contract): string {
  return createHash("sha256").update(canonicalJson(contract)).digest("hex");
}
