/** Random records for a schema, as JSON texts. */
import type { JSONSchema } from "@weir/contract";
import * as fc from "fast-check";
import { textOf } from "./document.ts";
import type { Document } from "./document.ts";
import { mutated } from "./mutate.ts";
import { validDocument, wildDocument } from "./valid-document.ts";

/**
 * Texts of JSON objects, as the log holds them: minified, strict, names unique, Unicode well-formed. For a contract's schema about a
 * third are valid, most others are one step away from it, and some are anything at all.
 */
export function instanceArbitrary(schema: JSONSchema): fc.Arbitrary<string> {
  const inside = validDocument(schema, { root: schema, edges: false });
  const atEdges = validDocument(schema, { root: schema, edges: true });
  return fc
    .oneof(
      { weight: 4, arbitrary: inside },
      { weight: 4, arbitrary: inside.chain(mutated) },
      { weight: 2, arbitrary: atEdges },
      { weight: 1, arbitrary: wildDocument(3) },
    )
    .map((document) => textOf(asObject(document)));
}

function asObject(document: Document): Document {
  return document.kind === "object" ? document : { kind: "object", members: [["f", document]] };
}
