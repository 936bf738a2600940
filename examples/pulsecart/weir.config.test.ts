import { compileProject } from "@weir/compile";
import { expect, test } from "vitest";
import project from "./weir.config.ts";

test("PulseCart's project compiles, and SQL alone can judge every contract", () => {
  const program = compileProject(project);
  expect(program.tables.map(({ name, kind }) => `${kind} ${name}`)).toEqual([
    "sessions visits",
    "rollup revenue_per_minute",
    "rollup views_per_minute",
    "rollup stock_on_hand",
    "rollup order_status",
    "entity customers",
    "entity products",
    "entity stock",
    "entity orders",
    "entity order_items",
    "entity charges",
    "derive order_charges",
    "entity payments",
    "derive order_facts",
    "rollup log_lines",
  ]);
  expect(program.contracts.map(({ contract, model }) => [contract.name, model.exact])).toEqual(
    [
      "product_viewed",
      "cart_updated",
      "checkout_started",
      "order_placed",
      "order_status_changed",
      "stock_moved",
      "store",
      "stripe",
      "settlement_line",
      "store_logs",
    ].map((name) => [name, true]),
  );
});
