import { cartContent } from "./cart.ts";
import type { CartItem } from "./cart.ts";
import { money } from "./catalogue.ts";
import type { Books, ContractName, Data } from "./message.ts";
import { moveStock } from "./stock.ts";
import type { Visitor } from "./visitor.ts";
import { hour, minute, second } from "./world.ts";
import type { World } from "./world.ts";

interface Order {
  readonly visitor: Visitor;
  readonly cart: readonly CartItem[];
  readonly coupon: string | null;
  readonly at: number;
}

/** An order, the statuses it goes through, and the stock it takes. */
export function placeOrder(world: World, order: Order): void {
  world.at(order.at, () => {
    const orderId = world.id("order");
    announce(world, order, orderId);
    const paidAt = Math.round(order.at + world.random.between(3, 60) * second);
    if (world.random.chance(0.05)) {
      changeStatus(world, orderId, paidAt, "cancelled", { reason: "payment refused" });
      return;
    }
    changeStatus(world, orderId, paidAt, "paid");
    const packedAt = paidAt + world.random.whole(2 * minute, 12 * minute);
    changeStatus(world, orderId, packedAt, "packed");
    const shippedAt = packedAt + world.random.whole(15 * minute, 90 * minute);
    changeStatus(world, orderId, shippedAt, "shipped");
    changeStatus(world, orderId, shippedAt + world.random.whole(6 * hour, 30 * hour), "delivered");
    takeStock(world, order, paidAt);
  });
}

function announce(world: World, { visitor, cart, coupon, at }: Order, orderId: string): void {
  const { channel, country, anonymousId, userId } = visitor;
  const { currency } = country;
  const { items, cents, units } = cartContent(cart);
  const discount = coupon === null ? 0 : Math.floor(cents / 10);
  const shipping = cents > 5_000 ? 0 : 495;
  const total = cents - discount + shipping;
  const data = {
    order_id: orderId,
    customer: { anonymous_id: anonymousId, user_id: userId, country: country.code },
    channel,
    currency,
    items,
    units,
    shipping: money(shipping),
    total: money(total),
    discounts: coupon === null ? {} : { [coupon]: money(discount) },
  };
  tell(world, at, "order_placed", { order: { currency, cents: total, units } }, data);
}

function changeStatus(world: World, orderId: string, at: number, status: string, more: Data = {}): void {
  world.at(at, () => tell(world, at, "order_status_changed", {}, { order_id: orderId, status, ...more }));
}

/** The units leave the warehouse; some come back. */
function takeStock(world: World, { visitor, cart }: Order, paidAt: number): void {
  const { warehouse } = visitor.country;
  for (const { product, quantity } of cart) {
    const { sku } = product;
    world.at(paidAt, () =>
      moveStock(world, { at: paidAt, sku, warehouse, quantity: -quantity, reason: "sold" }),
    );
    if (!world.random.chance(0.04)) continue;
    const backAt = paidAt + world.random.whole(4 * minute, 40 * minute);
    world.at(backAt, () => moveStock(world, { at: backAt, sku, warehouse, quantity, reason: "returned" }));
  }
}

function tell(world: World, at: number, contract: ContractName, books: Books, data: Data): void {
  const delay = world.random.chance(0.02)
    ? world.random.between(1, 10) * minute
    : world.random.between(0, 2) * second;
  world.send(
    {
      client: "orders",
      id: world.id("evt"),
      at,
      means: { contract, books },
      type: `com.pulsecart.${contract.replace("_", ".")}`,
      data,
    },
    delay,
  );
}
