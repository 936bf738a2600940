import { DuckDBInstance } from "@duckdb/node-api";
import type { DuckDBConnection } from "@duckdb/node-api";
import * as fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { componentsQuery } from "./components.ts";

type Edge = readonly [number, number];

let connection: DuckDBConnection;
beforeAll(async () => {
  connection = await (await DuckDBInstance.create(":memory:", { threads: "1" })).connect();
});

/** Each node that is not the least of its component, and the least: what the statement says. */
async function found(edges: readonly Edge[]): Promise<Map<number, number>> {
  await connection.run("CREATE OR REPLACE TABLE edges (a INTEGER, b INTEGER)");
  const appender = await connection.createAppender("edges");
  for (const [a, b] of edges) {
    appender.appendInteger(a);
    appender.appendInteger(b);
    appender.endRow();
  }
  appender.closeSync();
  const query = componentsQuery(
    "SELECT DISTINCT greatest(a, b) AS u, least(a, b) AS v FROM edges WHERE a <> b",
  );
  const rows = (await connection.runAndReadAll(query)).getRows() as [number, number][];
  expect(new Set(rows.map(([u]) => u)).size, "rows a node").toBe(rows.length);
  return new Map(rows.toSorted(([a], [b]) => a - b));
}

/** The same, by a search from each node in ascending order. */
function expected(edges: readonly Edge[]): Map<number, number> {
  const neighbours = new Map<number, number[]>();
  for (const [a, b] of [...edges, ...edges.map(([x, y]) => [y, x] as const)])
    neighbours.set(a, [...(neighbours.get(a) ?? []), b]);
  const least = new Map<number, number>();
  for (const start of [...neighbours.keys()].sort((a, b) => a - b)) {
    if (least.has(start)) continue;
    for (const waiting = [start]; waiting.length > 0;) {
      const node = waiting.pop() ?? start;
      if (least.has(node)) continue;
      least.set(node, start);
      waiting.push(...(neighbours.get(node) ?? []));
    }
  }
  return new Map([...least].filter(([node, root]) => node !== root).sort(([a], [b]) => a - b));
}

test("no edges", async () => {
  expect(await found([])).toEqual(new Map());
});

test("every node is on the least of its component", async () => {
  const node = fc.oneof(fc.nat(12), fc.nat(60));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(node, node), { maxLength: 90 }), async (edges) => {
      expect(await found(edges)).toEqual(expected(edges));
    }),
    { numRuns: 150 },
  );
});

const shuffled = (n: number): number[] =>
  Array.from({ length: n }, (_, i) => i).sort((a, b) => ((a * 7919) % n) - ((b * 7919) % n));

test.each([
  ["in order", Array.from({ length: 5_001 }, (_, i) => i)],
  ["in no order", shuffled(5_001)],
  [
    "the least in the middle",
    Array.from({ length: 5_001 }, (_, i) => (i <= 2_500 ? 5_000 - 2 * i : 2 * (i - 2_501) + 1)),
  ],
])("a chain of 5,000 edges, %s", async (_, nodes) => {
  const edges = nodes.slice(1).map((node, i) => [nodes[i] ?? 0, node] as const);
  const labels = await found(edges);
  const least = Math.min(...nodes);
  expect(labels.size).toBe(5_000);
  expect(new Set(labels.values())).toEqual(new Set([least]));
});
