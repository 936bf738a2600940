import type { ErrorCode } from "@weir/contract";
import { WeirError } from "@weir/contract";
import type { MemoryGauge } from "./receive-body.ts";
import type { SourceWriter } from "./source-writer.ts";

/** Whether records would be accepted now, and if not, why. */
export interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly {
    readonly code: ErrorCode;
    readonly message: string;
    readonly source?: string;
  }[];
}

export function readinessOf(
  sources: readonly { readonly name: string; readonly writer: SourceWriter }[],
  gauge: MemoryGauge,
  isClosing: boolean,
): Readiness {
  const reasons: Readiness["reasons"][number][] = [];
  const add = ({ code, message }: WeirError, source?: string): void => {
    reasons.push({ code, message, ...(source === undefined ? {} : { source }) });
  };
  if (isClosing) add(new WeirError("shutting_down", "The collector is stopping."));
  if (gauge.used >= gauge.limit)
    add(new WeirError("overloaded", `Requests hold all of ${gauge.limit} bytes.`));
  for (const { name, writer } of sources) {
    const problem = writer.problem();
    if (problem !== undefined) add(problem, name);
  }
  return { ready: reasons.length === 0, reasons };
}
