/** The four programs that send: the web shop, the app, the order service and the inventory service. */
export const clients = ["web", "mobile", "orders", "inventory"] as const;
export type Client = (typeof clients)[number];

export const contractNames = [
  "product_viewed",
  "cart_updated",
  "checkout_started",
  "order_placed",
  "order_status_changed",
  "stock_moved",
] as const;
export type ContractName = (typeof contractNames)[number];

/** Why a record cannot be loaded, as Weir's quarantine says it. */
export const poisonReasons = [
  "contract_violation",
  "unknown_contract",
  "invalid_json",
  "duplicate_key",
] as const;
export type PoisonReason = (typeof poisonReasons)[number];

/**
 * What a message must become: a row (with what it adds to the shop's own books), or a quarantined record. Only the
 * books of the clients know this; nothing of it is sent.
 */
export type Meaning =
  | { readonly contract: ContractName; readonly books?: Books }
  | { readonly poison: PoisonReason };

/** What a record changes in the shop's own books. Money in cents. */
export interface Books {
  /** The first event of a visit. */
  readonly opensVisit?: true;
  readonly order?: { readonly currency: string; readonly cents: number; readonly units: number };
  readonly stock?: { readonly sku: string; readonly warehouse: string; readonly quantity: number };
}

interface Common {
  /** By which Weir recognises a record that was sent twice. */
  readonly id: string;
  /** When it happened, in milliseconds since the epoch. */
  readonly at: number;
  readonly means: Meaning;
}

export type Data = Readonly<Record<string, unknown>>;

/** An event for an SDK that tracks: Segment's or RudderStack's. */
export interface TrackMessage extends Common {
  readonly client: "web" | "mobile";
  readonly event: string;
  readonly anonymousId: string;
  readonly userId?: string;
  readonly properties: Data;
}

/** An event for the CloudEvents SDK. */
export interface CloudMessage extends Common {
  readonly client: "orders";
  readonly type: string;
  readonly data: Data;
}

/** A line of NDJSON, which need not be JSON at all. */
export interface LineMessage extends Common {
  readonly client: "inventory";
  readonly line: string;
}

export type Message = TrackMessage | CloudMessage | LineMessage;
