import type { Random } from "./random.ts";

export interface Product {
  readonly sku: string;
  readonly name: string;
  readonly category: string;
  readonly cents: number;
}

const goods: readonly [string, string, readonly (readonly [string, number])[]][] = [
  [
    "SHO",
    "shoes",
    [
      ["Trail Runner", 11_990],
      ["Canvas Low", 5_490],
      ["Winter Boot", 15_900],
      ["Sandal", 3_995],
    ],
  ],
  [
    "BAG",
    "bags",
    [
      ["Day Pack", 6_900],
      ["Messenger", 8_450],
      ["Weekender", 12_900],
      ["Tote", 2_990],
    ],
  ],
  [
    "KIT",
    "kitchen",
    [
      ["Chef Knife", 7_499],
      ["Stock Pot", 5_995],
      ["Moka Pot", 3_290],
      ["Board", 2_450],
    ],
  ],
  [
    "TOY",
    "toys",
    [
      ["Marble Run", 4_990],
      ["Wood Train", 3_749],
      ["Kite", 1_999],
      ["Puzzle 1000", 1_495],
    ],
  ],
  [
    "ELE",
    "electronics",
    [
      ["Headphones", 18_900],
      ["Charger 65 W", 4_290],
      ["E-Reader", 13_990],
      ["Lamp", 5_999],
    ],
  ],
  [
    "GAR",
    "garden",
    [
      ["Secateurs", 2_890],
      ["Watering Can", 1_990],
      ["Raised Bed", 9_900],
      ["Hammock", 7_990],
    ],
  ],
];

/** 24 products. */
export const products: readonly Product[] = goods.flatMap(([prefix, category, list]) =>
  list.map(([name, cents], i) => ({ sku: `${prefix}-${100 + i}`, name, category, cents })),
);

export const warehouses = ["AMS", "LEJ", "MAD"] as const;
export type Warehouse = (typeof warehouses)[number];

export interface Country {
  readonly code: string;
  readonly currency: "EUR" | "USD" | "GBP";
  readonly warehouse: Warehouse;
}

export const countries: readonly [Country, ...Country[]] = [
  { code: "NL", currency: "EUR", warehouse: "AMS" },
  { code: "DE", currency: "EUR", warehouse: "LEJ" },
  { code: "ES", currency: "EUR", warehouse: "MAD" },
  { code: "GB", currency: "GBP", warehouse: "AMS" },
  { code: "US", currency: "USD", warehouse: "LEJ" },
];

/** A product, the first of the catalogue far more often than the last. */
export function popularProduct(random: Random): Product {
  const index = Math.floor(products.length * random.next() ** 2);
  const product = products[index] ?? products[0];
  if (product === undefined) throw new RangeError("the catalogue is empty");
  return product;
}

/** Cents as a decimal text: 1990 is "19.90". Integers throughout, so that no cent is ever rounded. */
export function money(cents: number): string {
  return `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, "0")}`;
}
