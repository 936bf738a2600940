import type { PrivacySpec } from "@weir/compile";
import { WeirError, durationMs } from "@weir/contract";

/** What a project says of erasures, with every default filled in. */
export interface ErasureSettings {
  /** How long the log keeps what is loaded. */
  readonly logRetentionMs: number;
  readonly deadlineMs: number;
  readonly rewriteAfterMs: number;
  readonly identifiers: number;
  readonly records: number;
  readonly share: number;
}

/** A share of fewer records than this says nothing. */
export const smallContract = 1_000;

/**
 * @param logRetentionMs how long the log keeps what is loaded
 * @throws WeirError `project_invalid`, `duration_invalid`
 */
export function resolveErasure(privacy: PrivacySpec | undefined, logRetentionMs: number): ErasureSettings {
  const { deadline = "72h", rewriteAfter = "1h", limits = {} } = privacy ?? {};
  const deadlineMs = durationMs(deadline);
  const { identifiers = 100, records = 100_000, share = 0.1 } = limits;
  const invalid = (where: string, message: string, remedy: string): WeirError =>
    new WeirError("project_invalid", message, { where, remedy });
  if (privacy !== undefined && logRetentionMs >= deadlineMs) {
    throw invalid(
      "privacy.deadline",
      `The log keeps what is loaded for ${logRetentionMs / 3_600_000} h, and an erasure has to be complete within ${deadlineMs / 3_600_000} h.`,
      "Make the deadline longer, or engine.logRetention shorter: the log is not rewritten.",
    );
  }
  for (const [name, value] of Object.entries({ identifiers, records })) {
    if (!Number.isSafeInteger(value) || value < 1)
      throw invalid(`privacy.limits.${name}`, "A limit is a whole number from 1.", "Correct it.");
  }
  if (!(share > 0 && share <= 1))
    throw invalid("privacy.limits.share", "A share is more than 0 and at most 1.", "Correct it.");
  return {
    logRetentionMs,
    deadlineMs,
    rewriteAfterMs: durationMs(rewriteAfter),
    identifiers,
    records,
    share,
  };
}
