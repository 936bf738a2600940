import type { CaptureContext, CapturedRecord } from "../capture.ts";

/** An append must stay below what the log takes at once (64 MiB), and a page of large objects may not. */
const maxCharacters = 4 * 1024 * 1024;

/** Appends records in their order, in parts of a bounded size. Resolves when all of them are durable. */
export async function appendAll(context: CaptureContext, records: readonly CapturedRecord[]): Promise<void> {
  let part: CapturedRecord[] = [];
  let characters = 0;
  for (const record of records) {
    const size = "text" in record ? record.text.length : record.bytes.length * 2;
    if (part.length > 0 && characters + size > maxCharacters) {
      await context.append(part);
      part = [];
      characters = 0;
    }
    part.push(record);
    characters += size;
  }
  if (part.length > 0) await context.append(part);
}
