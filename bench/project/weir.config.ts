import { defineProject, http } from "weir";
import { ProductViewed, benchProject } from "../events.ts";

const lookupMemory = process.env["WEIR_BENCH_LOOKUP_MEMORY"];

/** The benchmarks' project, as `weir up` runs it. */
export default defineProject({
  name: benchProject.name,
  sources: { web: http({ contracts: [ProductViewed] }) },
  tables: benchProject.tables,
  ...(lookupMemory === undefined ? {} : { engine: { lookupMemory: Number(lookupMemory) } }),
});
