import { money } from "./catalogue.ts";
import type { Product } from "./catalogue.ts";

export interface CartItem {
  readonly product: Product;
  readonly quantity: number;
}

/** A cart as records have it, with its value and its units. */
export function cartContent(cart: readonly CartItem[]): {
  items: { sku: string; quantity: number; unit_price: string }[];
  cents: number;
  units: number;
} {
  return {
    items: cart.map(({ product, quantity }) => ({
      sku: product.sku,
      quantity,
      unit_price: money(product.cents),
    })),
    cents: cart.reduce((sum, { product, quantity }) => sum + product.cents * quantity, 0),
    units: cart.reduce((sum, { quantity }) => sum + quantity, 0),
  };
}
