import { money, popularProduct } from "./catalogue.ts";
import type { Message } from "./message.ts";
import { second } from "./world.ts";
import type { World } from "./world.ts";

/** Records as they really go wrong: a release with a bug, a field that became optional, a crash in the middle of a line. */
const kinds: readonly [(world: World, at: number) => Message, ...((world: World, at: number) => Message)[]] =
  [
    priceAsWord,
    fieldMissing,
    eventNobodyDeclared,
    tooManyDecimals,
    typeNobodyDeclared,
    quantityAsWord,
    halfALine,
    memberTwice,
  ];

export function sendPoison(world: World, at: number): void {
  world.send(world.random.pick(kinds)(world, at), world.random.between(0, 5) * second);
}

function viewed(world: World, at: number, change: (properties: Record<string, unknown>) => void): Message {
  const { random } = world;
  const product = popularProduct(random);
  const client = random.pick(["web", "mobile"]);
  const properties: Record<string, unknown> = {
    channel: client,
    currency: "EUR",
    sku: product.sku,
    product: { name: product.name, category: product.category },
    price: money(product.cents),
    experiments: {},
  };
  change(properties);
  return {
    client,
    id: world.id("msg"),
    at,
    means: { poison: "contract_violation" },
    event: "Product Viewed",
    anonymousId: world.id("anon"),
    properties,
  };
}

function priceAsWord(world: World, at: number): Message {
  return viewed(world, at, (properties) => (properties["price"] = "free"));
}

function fieldMissing(world: World, at: number): Message {
  return viewed(world, at, (properties) => delete properties["sku"]);
}

function eventNobodyDeclared(world: World, at: number): Message {
  return {
    client: world.random.pick(["web", "mobile"]),
    id: world.id("msg"),
    at,
    means: { poison: "unknown_contract" },
    event: "Gift Wrap Chosen",
    anonymousId: world.id("anon"),
    properties: { paper: world.random.pick(["stars", "stripes"]) },
  };
}

function tooManyDecimals(world: World, at: number): Message {
  return {
    client: "orders",
    id: world.id("evt"),
    at,
    means: { poison: "contract_violation" },
    type: "com.pulsecart.order.placed",
    data: {
      order_id: world.id("order"),
      customer: { anonymous_id: world.id("anon"), user_id: null, country: "NL" },
      channel: "web",
      currency: "EUR",
      items: [{ sku: "TOY-103", quantity: 3, unit_price: "4.98333" }],
      units: 3,
      shipping: "4.95",
      total: "19.89999",
      discounts: {},
    },
  };
}

function typeNobodyDeclared(world: World, at: number): Message {
  return {
    client: "orders",
    id: world.id("evt"),
    at,
    means: { poison: "unknown_contract" },
    type: "com.pulsecart.invoice.printed",
    data: { order_id: world.id("order"), pages: 2 },
  };
}

function stockLine(world: World, at: number, quantity: unknown): { id: string; line: string } {
  const id = world.id("mov");
  const line = JSON.stringify({
    event_id: id,
    type: "stock_moved",
    occurred_at: new Date(at).toISOString(),
    sku: "GAR-101",
    warehouse: "LEJ",
    quantity,
    reason: "counted",
  });
  return { id, line };
}

function quantityAsWord(world: World, at: number): Message {
  const { id, line } = stockLine(world, at, "a dozen");
  return { client: "inventory", id, at, means: { poison: "contract_violation" }, line };
}

function halfALine(world: World, at: number): Message {
  const { id, line } = stockLine(world, at, 12);
  const cut = line.slice(0, world.random.whole(60, line.length - 5));
  return { client: "inventory", id, at, means: { poison: "invalid_json" }, line: cut };
}

function memberTwice(world: World, at: number): Message {
  const { id, line } = stockLine(world, at, 12);
  return {
    client: "inventory",
    id,
    at,
    means: { poison: "duplicate_key" },
    line: line.replace('"quantity":12', '"quantity":12,"quantity":21'),
  };
}
