import type { WeirError } from "@weir/contract";
import type { Committed } from "../commit.ts";
import type { StagedBatch } from "../stage.ts";

type Stage = (batch: number) => Promise<StagedBatch | undefined>;
type Commit = (staged: StagedBatch) => Promise<Committed>;

/** Commits that tasks and erasures ask for, until it is their turn. */
export class AskedCommits {
  /** Each tells whether it committed. */
  readonly #waiting: ((batch: number, commit: Commit) => Promise<boolean>)[] = [];

  get any(): boolean {
    return this.#waiting.length > 0;
  }

  /**
   * @param stage runs when it is the commit's turn; nothing is committed if it gives nothing
   * @param failed resolves when there will be no turn any more
   */
  async ask(stage: Stage, failed: Promise<WeirError>): Promise<Committed | undefined> {
    const committed = new Promise<Committed | undefined>((done) => {
      this.#waiting.push(async (batch, commit) => {
        const staged = await stage(batch);
        const result = staged === undefined ? undefined : await commit(staged);
        done(result);
        return result !== undefined;
      });
    });
    return await Promise.race([committed, failed.then((error) => Promise.reject(error))]);
  }

  /**
   * @param work commits by itself, or throws and has committed nothing; who asked gets the error
   * @param failed resolves when there will be no turn any more
   */
  async askOwn(work: (commit: number) => Promise<void>, failed: Promise<WeirError>): Promise<void> {
    const committed = new Promise<void>((done, fail) => {
      this.#waiting.push(async (commit) => {
        try {
          await work(commit);
        } catch (error) {
          fail(error instanceof Error ? error : new Error(String(error)));
          return false;
        }
        done();
        return true;
      });
    });
    await Promise.race([committed, failed.then((error) => Promise.reject(error))]);
  }

  /** Commits the one that waits longest under a number, and tells whether there was anything to commit. */
  async next(batch: number, commit: Commit): Promise<boolean> {
    return (await this.#waiting.shift()?.(batch, commit)) ?? false;
  }
}
