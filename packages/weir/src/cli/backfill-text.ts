import type { BackfillState } from "../backfill/state.ts";
import { grouped } from "./table.ts";

/** A backfill in one line. */
export function stateText(state: BackfillState): string {
  const { id, source, from, to, parts, partsDone, partsFailed, unit, rows, problem } = state;
  const span = from === null || to === null ? "" : `, ${from} to ${to}`;
  const failed = partsFailed > 0 ? ` (${partsFailed} not read)` : "";
  const done = `${state.state}, ${partsDone} of ${parts} ${unit}${failed}, ${grouped(rows)} rows`;
  return `backfill ${id} of ${source}${span}: ${done}${problem === null ? "" : `; ${problem}`}`;
}
