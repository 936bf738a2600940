import * as fc from "fast-check";
import { expect, test } from "vitest";
import { inputsFirst } from "./order.ts";

const orderOf = (inputs: Readonly<Record<string, readonly string[]>>): ReturnType<typeof inputsFirst> =>
  inputsFirst(Object.keys(inputs), (name) => inputs[name] ?? []);

test("what is read comes first; what reads nothing keeps its place", () => {
  expect(orderOf({ a: ["c"], b: [], c: ["d"], d: [] })).toEqual({ order: ["d", "c", "a", "b"], cycles: [] });
});

test("names of nothing are passed over", () => {
  expect(orderOf({ a: ["nothing"] })).toEqual({ order: ["a"], cycles: [] });
});

test.each([
  [{ a: ["a"] }, ["a", "a"]],
  [{ a: ["b"], b: ["c"], c: ["b"] }, ["b", "c", "b"]],
])("%j has the cycle %j", (inputs, cycle) => {
  expect(orderOf(inputs as Record<string, string[]>).cycles).toEqual([cycle]);
});

test("a graph without a cycle has an order, whatever it is", () => {
  const graphs = fc
    .array(fc.array(fc.nat(9)), { minLength: 1, maxLength: 10 })
    .map((edges) =>
      Object.fromEntries(edges.map((to, i) => [`t${i}`, to.filter((j) => j < i).map((j) => `t${j}`)])),
    );
  fc.assert(
    fc.property(graphs, fc.boolean(), (graph, reversed) => {
      const names = reversed ? Object.keys(graph).toReversed() : Object.keys(graph);
      const { order, cycles } = inputsFirst(names, (name) => graph[name] ?? []);
      expect(cycles).toEqual([]);
      expect(order.toSorted()).toEqual(names.toSorted());
      for (const [name, inputs] of Object.entries(graph))
        for (const input of inputs) expect(order.indexOf(input)).toBeLessThan(order.indexOf(name));
    }),
  );
});
