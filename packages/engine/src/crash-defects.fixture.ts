/** Engines with a fault planted, to see that the crash tests notice it. The product has no such switches. */
import type { LogStore } from "@weir/log";
import { Sql } from "./database.ts";

export type Defect =
  /** The batch's statements do not commit together. */
  | "no_transaction"
  /** What was planned is not recorded. */
  | "no_plans"
  /** Ids are known in memory only. */
  | "no_ids_stored"
  /** The manifest goes on to list files that are removed. */
  | "manifest_kept"
  /** After a restart the log gives the last consumed segment again. */
  | "segment_repeated"
  /** After a restart the log skips a segment. */
  | "segment_skipped";

/** Plants the defect in this process and gives the store to open the engine with. */
export function plant(defect: Defect, store: LogStore): LogStore {
  switch (defect) {
    case "no_transaction":
      dropStatements((sql) => sql === "BEGIN" || sql === "COMMIT");
      return store;
    case "no_plans":
      dropStatements((sql) => sql.startsWith("INSERT INTO db.weir.plans"));
      return store;
    case "no_ids_stored":
      dropStatements((sql) => sql.startsWith("INSERT INTO db.weir.id_recent"));
      return store;
    case "manifest_kept":
      dropStatements((sql) => sql.startsWith("DELETE FROM db.weir.files"));
      return store;
    case "segment_repeated":
      return shifted(store, -1);
    case "segment_skipped":
      return shifted(store, 1);
  }
}

function dropStatements(isDropped: (sql: string) => boolean): void {
  // oxlint-disable-next-line typescript/unbound-method -- called with the instance below
  const { run } = Sql.prototype;
  Sql.prototype.run = async function patched(this: Sql, sql: string): Promise<void> {
    if (!isDropped(sql)) await run.call(this, sql);
  };
}

/** A store that is off by some segments the first time that it is asked for what follows a consumed one. */
function shifted(store: LogStore, by: number): LogStore {
  const asked = new Set<string>();
  return {
    openWriter: (source, writer) => store.openWriter(source, writer),
    streams: () => store.streams(),
    heads: () => store.heads(),
    materialize: (ref) => store.materialize(ref),
    remove: (ref) => store.remove(ref),
    async sealedAfter(source, writer, number, limit) {
      const stream = `${source}/${writer}`;
      // Retention asks from 0, to learn what it may remove; the planner from what was consumed.
      if (number === 0 || asked.has(stream)) return await store.sealedAfter(source, writer, number, limit);
      const refs = await store.sealedAfter(source, writer, Math.max(0, number + by), limit);
      if (refs.length > 0) asked.add(stream);
      return refs;
    },
  };
}
