import type { BackfillState } from "../backfill/state.ts";
import { grouped } from "./table.ts";

/** A backfill in one line. */
export const stateText = (state: BackfillState): string =>
  `backfill ${state.id} of ${state.source}: ${state.state}, ${state.filesRead} of ${state.files} files` +
  `${state.filesDamaged > 0 ? ` (${state.filesDamaged} damaged)` : ""}, ${grouped(state.rows)} rows` +
  (state.problem === null ? "" : `; ${state.problem}`);
