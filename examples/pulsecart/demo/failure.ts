/** Why the demo cannot go on, for the person who started it. */
export class DemoFailure extends Error {
  override readonly name = "DemoFailure";
  readonly remedy: string;

  constructor(message: string, remedy: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.remedy = remedy;
  }
}
