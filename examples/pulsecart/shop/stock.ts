import { products, warehouses } from "./catalogue.ts";
import type { Warehouse } from "./catalogue.ts";
import { second } from "./world.ts";
import type { World } from "./world.ts";

interface Move {
  readonly at: number;
  readonly sku: string;
  readonly warehouse: Warehouse;
  readonly quantity: number;
  readonly reason: "received" | "sold" | "returned" | "counted";
}

/** One movement as the inventory service's line. */
export function moveStock(world: World, { at, sku, warehouse, quantity, reason }: Move): void {
  const { random } = world;
  const id = world.id("mov");
  const bin = `${random.pick(["A", "B", "C"])}${random.whole(1, 40)}`;
  const line = JSON.stringify({
    event_id: id,
    type: "stock_moved",
    occurred_at: new Date(at).toISOString(),
    sku,
    warehouse,
    quantity,
    reason,
    ...(reason === "received" ? { bins: { [bin]: quantity } } : {}),
  });
  const means = { contract: "stock_moved", books: { stock: { sku, warehouse, quantity } } } as const;
  world.send({ client: "inventory", id, at, means, line }, random.between(0, 10) * second);
}

/** What is in the warehouses when the shop opens. */
export function fillWarehouses(world: World, at: number): void {
  for (const { sku } of products) {
    for (const warehouse of warehouses) {
      moveStock(world, { at, sku, warehouse, quantity: world.random.whole(50, 400), reason: "received" });
    }
  }
}

/** Lorries come, and now and then somebody counts. */
export function restock(world: World, at: number): void {
  const { random } = world;
  const { sku } = random.pick(products as [(typeof products)[0], ...typeof products]);
  const warehouse = random.pick(warehouses);
  const counted = random.chance(0.1);
  const quantity = counted ? random.whole(-3, 2) : random.whole(5, 60);
  moveStock(world, { at, sku, warehouse, quantity, reason: counted ? "counted" : "received" });
}
