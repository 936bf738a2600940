import { jsonPointer } from "./pointer.ts";

/** What is wrong with a definition, gathered so that all of it is reported at once. */
export class Problems {
  readonly #lines: string[] = [];

  /** The error of somebody else that the first problem came from. */
  cause: unknown;

  get empty(): boolean {
    return this.#lines.length === 0;
  }

  /** In the order found, each once. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** Adds what another gathering found, after its own. */
  addAll(others: Problems): void {
    for (const line of others.#lines) if (!this.#lines.includes(line)) this.#lines.push(line);
    this.cause ??= others.cause;
  }

  /** `place` is the part of the definition, such as `id`; steps lead from there into the schema. */
  add(place: string, steps: readonly (string | number)[], what: string): void {
    const line = `${place}${jsonPointer(steps)}: ${what}`;
    if (!this.#lines.includes(line)) this.#lines.push(line);
  }
}
