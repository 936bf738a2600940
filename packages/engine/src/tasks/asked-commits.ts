import { WeirError } from "@weir/contract";
import type { Committed } from "../commit.ts";
import type { StagedBatch } from "../stage.ts";

type Stage = (batch: number) => Promise<StagedBatch | undefined>;
type Commit = (staged: StagedBatch) => Promise<Committed>;

/** Commits that tasks and erasures ask for, until it is their turn. */
export class AskedCommits {
  readonly #commit: Commit;
  /** Each tells whether it committed. */
  readonly #waiting: ((batch: number) => Promise<boolean>)[] = [];
  /** Resolves when there will be no turn any more. */
  readonly #ended: Promise<WeirError>;
  #end: (why: WeirError) => void = () => undefined;

  /** @param failed resolves when the engine broke */
  constructor(commit: Commit, failed: Promise<WeirError>) {
    this.#commit = commit;
    const closed = new Promise<WeirError>((resolve) => {
      this.#end = resolve;
    });
    this.#ended = Promise.race([failed, closed]);
  }

  get any(): boolean {
    return this.#waiting.length > 0;
  }

  /** @param stage runs when it is the commit's turn; nothing is committed if it gives nothing */
  async ask(stage: Stage): Promise<Committed | undefined> {
    const committed = new Promise<Committed | undefined>((done) => {
      this.#waiting.push(async (batch) => {
        const staged = await stage(batch);
        const result = staged === undefined ? undefined : await this.#commit(staged);
        done(result);
        return result !== undefined;
      });
    });
    return await Promise.race([committed, this.#noTurn()]);
  }

  /** @param work commits by itself, or throws and has committed nothing; who asked gets the error */
  async askOwn(work: (commit: number) => Promise<void>): Promise<void> {
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
    await Promise.race([committed, this.#noTurn()]);
  }

  /** Commits the one that waits longest under a number, and tells whether there was anything to commit. */
  async next(batch: number): Promise<boolean> {
    return (await this.#waiting.shift()?.(batch)) ?? false;
  }

  /** Once nobody calls `next` any more: who waits, or asks from now on, gets an error. */
  close(): void {
    this.#end(new WeirError("engine_unavailable", "The engine stops."));
  }

  async #noTurn(): Promise<never> {
    throw await this.#ended;
  }
}
