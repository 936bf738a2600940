import type { JsonObject } from "@weir/contract";
import type { CapturedRecord } from "../capture.ts";
import { changeRecord } from "../capture.ts";
import { type Reading, type Subject, objectProblem, readingChange } from "./change.ts";
import { unreadable } from "./window.ts";

/** An object that was read, as a record; in quarantine with its content if it cannot be kept. */
export function readingRecord(
  source: string,
  subject: Subject | string,
  object: JsonObject,
  reading: Reading,
): CapturedRecord {
  const problem = typeof subject === "string" ? subject : objectProblem(object);
  if (typeof subject === "string" || problem !== undefined) return unreadable(source, object, problem ?? "");
  return changeRecord(source, readingChange(subject, object, reading));
}
