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

/** Lets others have their turn. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
