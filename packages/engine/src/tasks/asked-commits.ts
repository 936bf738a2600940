import type { WeirError } from "@weir/contract";
import type { Committed } from "../commit.ts";
import type { StagedBatch } from "../stage.ts";

type Stage = (batch: number) => Promise<StagedBatch | undefined>;

/** Commits that tasks ask for, until it is their turn. */
export class AskedCommits {
  readonly #waiting: { readonly stage: Stage; readonly done: (committed: Committed | undefined) => void }[] =
    [];

  get any(): boolean {
    return this.#waiting.length > 0;
  }

  /**
   * @param stage runs when it is the commit's turn; nothing is committed if it gives nothing
   * @param failed resolves when there will be no turn any more
   */
  async ask(stage: Stage, failed: Promise<WeirError>): Promise<Committed | undefined> {
    const committed = new Promise<Committed | undefined>((done) => void this.#waiting.push({ stage, done }));
    return await Promise.race([committed, failed.then((error) => Promise.reject(error))]);
  }

  /** Commits the one that waits longest under a number, and tells whether there was anything to commit. */
  async next(batch: number, commit: (staged: StagedBatch) => Promise<Committed>): Promise<boolean> {
    const asked = this.#waiting.shift();
    const staged = await asked?.stage(batch);
    const committed = staged === undefined ? undefined : await commit(staged);
    asked?.done(committed);
    return committed !== undefined;
  }
}
