import type { DuckDBResult, DuckDBValue } from "@duckdb/node-api";

/** Rows between two looks at what else waits: about 1 ms. */
const rowsAtOnce = 200;

/**
 * Reads a result row by row, without keeping whoever else waits for the process from its turn.
 *
 * @param take gets the values of a row by the number of their column
 * @param afterChunk after every 2,048 rows or fewer
 */
export async function eachRow(
  result: DuckDBResult,
  take: (value: (column: number) => DuckDBValue) => void,
  afterChunk: () => void = () => undefined,
): Promise<void> {
  for await (const chunk of result) {
    const vectors = Array.from({ length: chunk.columnCount }, (_, i) => chunk.getColumnVector(i));
    for (let row = 0; row < chunk.rowCount; row++) {
      take((column) => vectors[column]?.getItem(row) ?? null);
      if (row % rowsAtOnce === rowsAtOnce - 1) await turn();
    }
    afterChunk();
  }
}

/** Reads a result whose columns are numbers, none NULL, as arrays. Gives way to other work about every millisecond. */
export async function numberColumns(result: DuckDBResult): Promise<Float64Array[]> {
  const parts = Array.from({ length: result.columnCount }, (): Float64Array[] => []);
  for await (const chunk of result) {
    for (const [column, taken] of parts.entries()) {
      const vector = chunk.getColumnVector(column);
      const numbers = new Float64Array(chunk.rowCount);
      for (let row = 0; row < numbers.length; row++) numbers[row] = vector.getItem(row) as number;
      taken.push(numbers);
    }
    await turn();
  }
  return parts.map((taken) => {
    const all = new Float64Array(taken.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const numbers of taken) {
      all.set(numbers, at);
      at += numbers.length;
    }
    return all;
  });
}

/** Lets others have their turn. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
