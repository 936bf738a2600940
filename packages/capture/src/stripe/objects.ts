/** Where objects of a type are: `GET path/id` has one, `GET path` lists them. */
interface Place {
  readonly path: string;
  /** False: listed only as parts of others, or not at all. */
  readonly listable: boolean;
  /** What a list must ask for to leave nothing out. */
  readonly params?: Readonly<Record<string, string>>;
  /** See `creation`. */
  readonly creation: Creation;
}

/**
 * How the objects of a type that were created in an interval are found: the list can be `asked` for them; the whole list has to be
 * read, as only the objects have been `told`; or nobody knows.
 */
export type Creation = "asked" | "told" | "unknown";

const at = (path: string, rest: Partial<Place> = {}): Place => ({
  path: `/v1/${path}`,
  listable: true,
  creation: "asked",
  ...rest,
});
const single = (path: string): Place => at(path, { listable: false, creation: "unknown" });

/** Types with ids of their own, by what their member `object` says (docs.stripe.com/api). */
const places: ReadonlyMap<string, Place> = new Map([
  ["account", at("accounts")],
  ["application_fee", at("application_fees")],
  ["billing.meter", at("billing/meters", { creation: "told" })],
  ["billing_portal.configuration", at("billing_portal/configurations", { creation: "told" })],
  ["charge", at("charges")],
  ["checkout.session", at("checkout/sessions")],
  ["coupon", at("coupons")],
  ["credit_note", at("credit_notes")],
  ["customer", at("customers")],
  ["dispute", at("disputes")],
  ["file", at("files")],
  ["file_link", at("file_links")],
  ["identity.verification_session", at("identity/verification_sessions")],
  ["invoice", at("invoices")],
  ["invoiceitem", at("invoiceitems")],
  ["issuing.authorization", at("issuing/authorizations")],
  ["issuing.card", at("issuing/cards")],
  ["issuing.cardholder", at("issuing/cardholders")],
  ["issuing.dispute", at("issuing/disputes")],
  ["issuing.transaction", at("issuing/transactions")],
  ["mandate", single("mandates")],
  ["payment_intent", at("payment_intents")],
  ["payment_link", at("payment_links", { creation: "unknown" })],
  ["payment_method", single("payment_methods")],
  ["payout", at("payouts")],
  ["plan", at("plans")],
  ["price", at("prices")],
  ["product", at("products")],
  ["promotion_code", at("promotion_codes")],
  ["quote", at("quotes", { creation: "told" })],
  ["radar.early_fraud_warning", at("radar/early_fraud_warnings")],
  ["refund", at("refunds")],
  ["review", at("reviews")],
  ["setup_intent", at("setup_intents")],
  ["shipping_rate", at("shipping_rates")],
  ["source", single("sources")],
  // A list without `status` leaves out what was canceled.
  ["subscription", at("subscriptions", { params: { status: "all" } })],
  ["subscription_schedule", at("subscription_schedules")],
  ["tax_rate", at("tax_rates")],
  ["terminal.reader", at("terminal/readers", { creation: "unknown" })],
  ["topup", at("topups")],
  ["transfer", at("transfers")],
]);

/** What a source lists unless it says otherwise. */
export const defaultObjects: readonly string[] = [
  "customer",
  "product",
  "price",
  "coupon",
  "promotion_code",
  "tax_rate",
  "subscription",
  "invoice",
  "invoiceitem",
  "credit_note",
  "payment_intent",
  "setup_intent",
  "charge",
  "refund",
  "dispute",
  "checkout.session",
  "payout",
];

export const isListable = (type: string): boolean => places.get(type)?.listable === true;

/** How the objects of a type that were created in an interval are found. */
export const creationOf = (type: string): Creation => places.get(type)?.creation ?? "unknown";

/** Address of one object, or undefined if its type has none. */
export function objectPath(type: string, id: string): string | undefined {
  const place = places.get(type);
  return place === undefined ? undefined : `${place.path}/${encodeURIComponent(id)}`;
}

/** Seconds since the epoch: `from` is in it, `to` is not. */
export interface CreatedIn {
  readonly from: number;
  readonly to: number;
}

/** Address of the list of a type, after the object `after`; only of objects created in an interval, if the list can be asked for them. */
export function listPath(
  type: string,
  limit: number,
  after: string | undefined,
  created?: CreatedIn,
): string {
  const place = places.get(type);
  if (place === undefined) throw new TypeError(`no list of ${type}`);
  const params = new URLSearchParams({ limit: String(limit), ...place.params });
  if (created !== undefined && place.creation === "asked") {
    params.set("created[gte]", String(created.from));
    params.set("created[lt]", String(created.to));
  }
  if (after !== undefined) params.set("starting_after", after);
  return `${place.path}?${params.toString()}`;
}
