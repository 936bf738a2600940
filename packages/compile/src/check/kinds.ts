import type { TableSpec } from "../table.ts";
import type { TableKind } from "./checking.ts";
import { deriveKind } from "./derive.ts";
import { enrichKind } from "./enrich.ts";
import { identityKind } from "./identity.ts";
import { entityKind } from "./entity.ts";
import { rollupKind, sessionsKind } from "./measured.ts";

const kinds: { readonly [K in TableSpec["kind"]]: TableKind<Extract<TableSpec, { kind: K }>> } = {
  sessions: sessionsKind,
  rollup: rollupKind,
  entity: entityKind,
  enrich: enrichKind,
  derive: deriveKind,
  identity: identityKind,
};

/** What the compiler knows of the kind of a table; to be used with that table's spec only. */
export const kindOf = (spec: TableSpec): TableKind => kinds[spec.kind];
