import type { Json } from "@weir/contract";
import type { VirtualClock } from "@weir/testkit";
import type { Capture, CaptureContext, CapturedRecord, CaptureStatus } from "../capture.ts";

/** Where a process dies: at the n-th append or save of its life, before or after it takes effect. */
export interface Death {
  readonly call: "append" | "save";
  readonly n: number;
  readonly when: "before" | "after";
}

class Dead extends Error {
  override readonly name = "Dead";
}

/** A log, a cursor and a status in memory, which outlive the captures that write them. */
export class MemoryContext {
  readonly records: CapturedRecord[] = [];
  readonly warnings: { message: string; code?: unknown }[] = [];
  cursor: Json | undefined;
  status: CaptureStatus = {};
  /** Called before each append, to hold it back. */
  beforeAppend: () => Promise<void> = () => Promise.resolve();

  /** Texts of the readable records. */
  get texts(): string[] {
    return this.records.flatMap((record) => ("text" in record ? [record.text] : []));
  }

  /** Ids of the records, without those that came again. */
  get ids(): Set<string> {
    return new Set(this.texts.map((text) => (JSON.parse(text) as { id: string }).id));
  }

  context(signal: AbortSignal, death?: Death): CaptureContext {
    const calls = { append: 0, save: 0 };
    const step = async (call: "append" | "save", effect: () => Promise<void>): Promise<void> => {
      const dies = death?.call === call && death.n === ++calls[call];
      if (dies && death.when === "before") throw new Dead();
      await effect();
      if (dies) throw new Dead();
    };
    const { cursor } = this;
    return {
      source: "saas",
      signal,
      cursor,
      append: (records) =>
        step("append", async () => {
          await this.beforeAppend();
          this.records.push(...records);
        }),
      appendLines: () => Promise.reject(new Error("these captures make records")),
      saveCursor: (value) =>
        step("save", () => {
          // As a file has it: what is not JSON does not survive.
          this.cursor = JSON.parse(JSON.stringify(value)) as Json;
          return Promise.resolve();
        }),
      report: (status) => {
        this.status = status;
      },
      log: (level, message, fields) => {
        if (level !== "info") this.warnings.push({ message, code: fields?.["code"] });
      },
    };
  }

  /** Runs a capture until the clock reaches `untilMs` and it has nothing left to do before, or it dies. Tells which. */
  async run(
    capture: Pick<Capture, "run">,
    clock: VirtualClock,
    untilMs: number,
    death?: Death,
  ): Promise<"idle" | "dead"> {
    const abort = new AbortController();
    const run = capture.run(this.context(abort.signal, death)).then(
      () => "stopped" as const,
      (error: unknown) => {
        if (error instanceof Dead) return "dead" as const;
        throw error;
      },
    );
    const idle = clock.reach(untilMs).then(() => "idle" as const);
    const first = await Promise.race([run, idle]);
    if (first === "dead") return "dead";
    abort.abort();
    await run;
    return "idle";
  }
}
