import type { SlotState } from "./slot.ts";

/** Part of the budget from which on an operator is told. */
const warnFrom = 0.5;

export interface BudgetWarning {
  readonly usedBytes: number;
  readonly budgetBytes: number;
  /** At the speed of late; null while that is not known, or it does not grow. */
  readonly secondsLeft: number | null;
}

/** Watches how much log a slot makes the server keep, of what the server may keep for it (max_slot_wal_keep_size). */
export class WalBudget {
  #before: { readonly atMs: number; readonly retainedBytes: number } | undefined;
  #warned = false;
  /** Until the budget is used up, at the speed of late; null while that is not known, or it does not grow. */
  secondsLeft: number | null = null;

  /**
   * Takes a look.
   *
   * @param nowMs of a clock that does not jump
   * @returns what to warn of: once when half is used, and again when it was below a quarter in between
   */
  look({ retainedBytes, budgetBytes }: SlotState, nowMs: number): BudgetWarning | undefined {
    const before = this.#before;
    this.#before = { atMs: nowMs, retainedBytes };
    if (budgetBytes === null) return undefined;
    const grown = before === undefined ? 0 : retainedBytes - before.retainedBytes;
    const seconds = before === undefined ? 0 : (nowMs - before.atMs) / 1000;
    const left = Math.max(0, budgetBytes - retainedBytes);
    this.secondsLeft = grown > 0 && seconds > 0 ? Math.round((left / grown) * seconds) : null;
    const used = retainedBytes / budgetBytes;
    if (used < warnFrom / 2) this.#warned = false;
    // The first look knows no speed, so it does not warn yet.
    if (used < warnFrom || this.#warned || before === undefined) return undefined;
    this.#warned = true;
    return { usedBytes: retainedBytes, budgetBytes, secondsLeft: this.secondsLeft };
  }
}
