import type { Logger } from "./logger.ts";

interface CommitEvent {
  readonly commit: number;
  readonly records: number;
}

/** The engine commits every second; one line in this time is enough for people. */
const quietMs = 5_000;

/** Logs commits: the first at once, those that follow within five seconds as one line. */
export class CommitLog {
  readonly #logger: Logger;
  #last: CommitEvent | undefined;
  #commits = 0;
  #records = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  add(event: CommitEvent): void {
    this.#last = event;
    this.#commits += 1;
    this.#records += event.records;
    if (this.#timer !== undefined) return;
    this.flush();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.flush();
    }, quietMs).unref();
  }

  flush(): void {
    const last = this.#last;
    if (last === undefined) return;
    const several = this.#commits > 1 ? ` in ${this.#commits} commits` : "";
    this.#logger.log("info", `commit ${last.commit}: ${this.#records} records${several}`, {
      commit: last.commit,
      records: this.#records,
      commits: this.#commits,
    });
    this.#last = undefined;
    this.#commits = 0;
    this.#records = 0;
  }
}
