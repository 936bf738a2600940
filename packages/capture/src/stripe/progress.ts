import type { JsonObject } from "@weir/contract";

/**
 * How far an object has come, 0 to 99: states that objects only ever go forward through. Events carry whole seconds, and
 * one invoice is created, finalized and paid within one; this tells their order where the objects themselves do.
 *
 * States that can follow each other in both directions have the same number.
 */
const byStatus: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  "checkout.session": { open: 10, complete: 20, expired: 20 },
  charge: { pending: 10, failed: 20, succeeded: 20 },
  credit_note: { issued: 10, void: 20 },
  dispute: {
    warning_needs_response: 10,
    warning_under_review: 15,
    needs_response: 20,
    under_review: 25,
    warning_closed: 30,
    won: 30,
    lost: 30,
    prevented: 30,
  },
  invoice: { draft: 10, open: 20, uncollectible: 30, void: 40, paid: 40 },
  payment_intent: { requires_capture: 30, succeeded: 40, canceled: 40 },
  payout: { pending: 10, in_transit: 20, paid: 30, canceled: 40, failed: 40 },
  quote: { draft: 10, open: 20, accepted: 30, canceled: 30 },
  refund: { pending: 10, requires_action: 10, succeeded: 20, failed: 30, canceled: 30 },
  setup_intent: { succeeded: 40, canceled: 40 },
  subscription: { incomplete: 5, incomplete_expired: 40, canceled: 40 },
  subscription_schedule: { not_started: 10, active: 20, completed: 30, released: 30, canceled: 30 },
  topup: { pending: 10, succeeded: 20, reversed: 30, failed: 30, canceled: 30 },
};

/** Of a status that the table does not have, which may come before or after most others. */
const elsewhere = 10;

export function progressOf(object: JsonObject): number {
  const { object: type, status } = object;
  const table = typeof type === "string" ? byStatus[type] : undefined;
  if (table === undefined) return 0;
  const base =
    (typeof status === "string" && Object.hasOwn(table, status) ? table[status] : undefined) ?? elsewhere;
  return base + withinStatus(object);
}

/** Steps that leave the status as it is; together less than the distance between two statuses. */
function withinStatus({ object, captured, amount_refunded, refunded, payment_status }: JsonObject): number {
  if (object === "charge") {
    const some = typeof amount_refunded === "number" && amount_refunded > 0;
    return (captured === true ? 1 : 0) + (some ? 2 : 0) + (refunded === true ? 4 : 0);
  }
  if (object === "checkout.session") return payment_status === "unpaid" ? 0 : 1;
  return 0;
}
