import { WeirError } from "@weir/contract";

/** One writer of one source: a totally ordered sequence of segments. Nothing orders two streams. */
export interface StreamName {
  readonly source: string;
  readonly writer: string;
}

/** Where a record is in the log. `number` is the segment's (from 1), `line` the record's in it (from 1). */
export interface Position extends StreamName {
  readonly number: number;
  readonly line: number;
}

const namePattern = /^[a-z0-9_-]{1,64}$/;
const positionPattern = /^([a-z0-9_-]{1,64})\/([a-z0-9_-]{1,64})\/(\d{12}):(\d{1,15})$/;

export const maxSegmentNumber = 999_999_999_999;

export function isName(text: string): boolean {
  return namePattern.test(text);
}

/** Throws `log_invalid_name`. Names become directory and object names, so nothing else may pass. */
export function checkNames({ source, writer }: StreamName): void {
  for (const [what, name] of [
    ["source", source],
    ["writer", writer],
  ] as const) {
    if (!isName(name)) throw new WeirError("log_invalid_name", `${JSON.stringify(name)} is no ${what} name`);
  }
}

/** Twelve digits, so that names sort as the numbers do. */
export function formatNumber(number: number): string {
  return String(number).padStart(12, "0");
}

/** `source/writer/000000000042:7`. Positions of one stream sort as text up to the colon. */
export function formatPosition({ source, writer, number, line }: Position): string {
  return `${source}/${writer}/${formatNumber(number)}:${line}`;
}

/** The inverse of `formatPosition`. Throws `log_invalid_position`. */
export function parsePosition(text: string): Position {
  const match = positionPattern.exec(text);
  const [, source, writer, number, line] = match ?? [];
  if (source === undefined || writer === undefined || !(Number(number) >= 1) || !(Number(line) >= 1)) {
    throw new WeirError("log_invalid_position", `${JSON.stringify(text)} is no log position`);
  }
  return { source, writer, number: Number(number), line: Number(line) };
}
