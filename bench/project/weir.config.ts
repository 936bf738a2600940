import { defineProject, http } from "weir";
import { ProductViewed, benchProject } from "../events.ts";

/** The benchmarks' project, as `weir up` runs it. */
export default defineProject({
  name: benchProject.name,
  sources: { web: http({ contracts: [ProductViewed] }) },
  tables: benchProject.tables,
});
