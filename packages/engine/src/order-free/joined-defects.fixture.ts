/** Ways in which enriched and derived tables could fall behind what they read. Each must be found out. */
import type { Program, Statement, TableProgram } from "@weir/compile";
import { edited, withTable } from "./defects.fixture.ts";

const merging = (
  table: string,
  change: (merge: TableProgram["merge"]) => Statement[],
): ((program: Program) => Program) => withTable(table, (parts) => ({ ...parts, merge: change(parts.merge) }));

export const joinedDefects: Readonly<Record<string, (program: Program) => Program>> = {
  "a parent that changes does not recompute its records": merging("views_now", (merge) =>
    edited(merge, /SEMI JOIN "changed_customers" _c/, 'SEMI JOIN (FROM "changed_customers" LIMIT 0) _c'),
  ),

  "only parents that changed now recompute what was": withTable("views_then", (parts) => ({
    ...parts,
    watches: ["customers"],
    merge: edited(
      parts.merge,
      /FROM "changed_customers_history" GROUP/,
      'FROM "changed_customers_history" SEMI JOIN "changed_customers" USING (id) GROUP',
    ),
  })),

  "a record at the moment of a change has the state before": merging("views_then", (merge) =>
    edited(merge, />= _p\._from/, "> _p._from"),
  ),

  "what is gone has a state": merging("views_then", (merge) => edited(merge, /AND _p\._op <> 'delete'/, "")),

  "a fence has no end": merging("views_then", (merge) =>
    edited(merge, /AND \(_p\._to IS NULL OR _e\."at" < _p\._to\)/, ""),
  ),

  "a grace has no end": merging("views_patient", (merge) =>
    edited(merge, /NOT _visible AND _received <= getvariable\('weir_newest_us'\)/, "FALSE AND 0 <= 0"),
  ),

  "a record that another took the place of stays": withTable("views_now", (parts) => ({
    ...parts,
    retract: edited(parts.retract, /(FROM "removed_viewed")/, "$1 LIMIT 0"),
  })),

  "the mapping through another input is lost": merging("facts", (merge) =>
    edited(merge, /SEMI JOIN "touched_facts__c" _a/, 'SEMI JOIN (FROM "touched_facts__c" LIMIT 0) _a'),
  ),

  "where a row belonged is forgotten": merging("facts", (merge) =>
    edited(
      merge,
      /SELECT "order_id" FROM "before_facts__p"\n/,
      'SELECT "order_id" FROM "before_facts__p" WHERE FALSE\n',
    ),
  ),

  "links are not set right": merging("facts", (merge) =>
    edited(merge, /INSERT INTO db\.state\."_facts__p"[^]*/, "SELECT 1"),
  ),

  "removed keys stay": merging("facts", (merge) => edited(merge, /UNION ALL \([^]*EXCEPT ALL[^]*\)\)/, ")")),

  "a key that is NULL is no key": merging("tiers", (merge) => edited(merge, /IS NOT DISTINCT FROM/, "=")),

  "what is derived from what is derived hears nothing": merging("facts", (merge) =>
    edited(merge, /(INSERT INTO "changed_facts" [^]*)/, "$1 LIMIT 0"),
  ),
};
