import type { Change, JsonObject } from "@weir/contract";

/**
 * What change records say that a source holds: the rows by stream and key. By definition, and slowly: a record's id is one record; of a
 * key the greatest version wins; a row is gone after a delete, or a truncate of its stream with no smaller version.
 *
 * @throws Error if two records have one id and different texts
 */
export function capturedRows(texts: readonly string[]): Map<string, Map<string, JsonObject>> {
  const byId = new Map<string, string>();
  for (const text of texts) {
    const { id } = JSON.parse(text) as Change;
    const other = byId.get(id);
    if (other !== undefined && other !== text) throw new Error(`one id, two records:\n${other}\n${text}`);
    byId.set(id, text);
  }
  const changes = [...byId.values()].map((text) => JSON.parse(text) as Change);
  changes.sort((a, b) => (a.version < b.version ? -1 : a.version > b.version ? 1 : 0));
  const streams = new Map<string, Map<string, JsonObject>>();
  const seen = new Set<string>();
  for (const { stream, key, op, row, version } of changes) {
    if (op === "schema") continue;
    if (op === "truncate") {
      streams.get(stream)?.clear();
      continue;
    }
    const place = `${stream} ${key} ${version}`;
    if (seen.has(place)) throw new Error(`two records of one key and version: ${place}`);
    seen.add(place);
    let rows = streams.get(stream);
    if (rows === undefined) streams.set(stream, (rows = new Map<string, JsonObject>()));
    if (op === "delete" || row === null) rows.delete(key);
    else rows.set(key, row);
  }
  return streams;
}
