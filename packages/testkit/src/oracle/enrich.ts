import type { Contract } from "@weir/contract";
import type { EntityValue } from "./column-texts.ts";
import type { EntityRow, HistoryRow } from "./entity.ts";
import { fieldAt, keyOf, valueAt } from "./fields.ts";
import type { Scalar } from "./fields.ts";
import type { CleanRecord } from "./outcome.ts";
import type { OracleRow } from "./tables.ts";

/** What enriched records are to hold; the compiler's declarations have this shape. */
export interface EnrichDeclaration {
  readonly from: Contract;
  readonly on: Readonly<Record<string, string>>;
  readonly take: readonly string[];
  readonly prefix: string;
  readonly keep: readonly string[];
  readonly asOf: boolean;
  readonly graceMs?: number;
}

/** Times of receipt, us: of a record, and the newest of all. Needed where there is a grace. */
export interface Receipts {
  of(record: CleanRecord): bigint;
  readonly newest: bigint;
}

/** The rows of enriched records over a clean set and the rows of the entity. */
export function enrichRows(
  table: EnrichDeclaration,
  clean: readonly CleanRecord[],
  entity: { readonly current: readonly EntityRow[]; readonly history: readonly HistoryRow[] },
  receipts?: Receipts,
): OracleRow[] {
  const { from, on, take, prefix, keep, graceMs } = table;
  const paths = [...new Set([from.id, from.time, ...Object.keys(on), ...keep])];
  return clean
    .filter(({ contract }) => contract === from)
    .flatMap((record) => {
      const at = (path: string): Scalar => valueAt(record.value, path, fieldAt(from, path));
      const parent = parentOf(table, record, at, entity);
      const isHeldBack =
        parent === undefined &&
        graceMs !== undefined &&
        receipts !== undefined &&
        receipts.newest < receipts.of(record) + BigInt(graceMs) * 1000n;
      if (isHeldBack) return [];
      return [
        {
          ...Object.fromEntries(paths.map((path) => [path.split(".").join("_"), at(path)])),
          ...Object.fromEntries(take.map((name) => [`${prefix}${name}`, scalar(parent?.columns[name])])),
          _matched: parent !== undefined,
          _parent_version: parent?.version ?? null,
        },
      ];
    });
}

function parentOf(
  { on, asOf }: EnrichDeclaration,
  { timeUs }: CleanRecord,
  at: (path: string) => Scalar,
  { current, history }: { readonly current: readonly EntityRow[]; readonly history: readonly HistoryRow[] },
): EntityRow | undefined {
  const wanted = Object.keys(on).map(at);
  if (wanted.includes(null)) return undefined;
  const isWanted = ({ columns }: EntityRow): boolean =>
    keyOf(Object.values(on).map((name) => scalar(columns[name]))) === keyOf(wanted);
  if (!asOf) return current.find(isWanted);
  const then = history.filter(
    (row) => isWanted(row) && row.fromUs <= timeUs && (row.toUs === null || timeUs < row.toUs),
  );
  if (then.length > 1) throw new Error("two states of one thing at one time");
  return then.find(({ op }) => op !== "delete");
}

function scalar(value: EntityValue | undefined): Scalar {
  if (value === undefined || value === null) return null;
  if (typeof value === "object") throw new Error(`no scalar: ${JSON.stringify(value)}`);
  return value;
}
