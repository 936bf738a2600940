/** For tests: a project with a table of each shape. */
export const lookupProject = `
import { Type, contract, count, decimal, defineProject, http, rollup, sessions, sum, timestamp } from "weir";

const Clicked = contract("clicked", {
  version: "1.0.0", owner: "tests", id: "id", time: "at", lateness: "24h",
  fields: Type.Object({
    id: Type.String(), at: timestamp(), page: Type.String(), cost: Type.Optional(decimal({ precision: 10, scale: 2 })),
  }),
});

export default defineProject({
  name: "small",
  sources: { web: http({ contracts: [Clicked] }) },
  tables: {
    clicks: rollup({ from: Clicked, by: "page", measures: { n: count(), cost: sum("cost") } }),
    per_hour: rollup({ from: Clicked, window: "1h", by: "page", measures: { n: count() } }),
    runs: sessions({ from: Clicked, by: "page", gap: "10m", measures: { n: count() } }),
  },
});
`;
