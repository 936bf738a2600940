import type { WorkRecord } from "./workload.ts";

/** Records as a log writer takes them: columns 2 to 7 of each line, and the length of each. */
export function logLines(
  records: readonly WorkRecord[],
  receivedUs: number,
): { lines: Buffer; lengths: Uint32Array } {
  const lines = records.map(({ contract, text, error }) => {
    if (error !== undefined)
      return Buffer.from(`${receivedUs}\t\t0\t0\t${error}\t${Buffer.from(text).toString("base64")}\n`);
    const values = Object.values(JSON.parse(text) as Record<string, unknown>);
    const nulls = values.filter((value) => value === null).length;
    return Buffer.from(`${receivedUs}\t${contract}\t${values.length}\t${nulls}\t\t${text}\n`);
  });
  return { lines: Buffer.concat(lines), lengths: Uint32Array.from(lines, (line) => line.length) };
}
