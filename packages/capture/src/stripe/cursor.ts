import type { Json } from "@weir/contract";
import { isJsonObject } from "@weir/contract";

/** Where reconciliation goes on. Times are whole seconds of Stripe's clock. */
export interface StripeCursor {
  /** Every event up to this second has been read, or is no longer kept. */
  readonly through: number;
  /** A window of events after `through` that has been read down to `after`, newest first. */
  readonly window?: { readonly to: number; readonly after: string } | undefined;
  /** By type: the second in which its last whole listing began. */
  readonly listed: Readonly<Record<string, number>>;
  /** A listing that began in second `at` and has read the objects of `type` up to `after`. */
  readonly listing?: { readonly type: string; readonly at: number; readonly after: string } | undefined;
}

const format = 1;

export function savedCursor({ through, window, listed, listing }: StripeCursor): Json {
  return {
    format,
    through,
    listed: { ...listed },
    ...(window === undefined ? {} : { window: { ...window } }),
    ...(listing === undefined ? {} : { listing: { ...listing } }),
  };
}

/** What was saved; undefined for nothing, and for what this version did not write. */
export function loadedCursor(saved: Json | undefined): StripeCursor | undefined {
  if (!isJsonObject(saved) || saved["format"] !== format) return undefined;
  const { through, listed, window, listing } = saved;
  if (typeof through !== "number" || !isJsonObject(listed)) return undefined;
  const seconds = Object.entries(listed).flatMap(([type, at]) =>
    typeof at === "number" ? [[type, at] as const] : [],
  );
  return {
    through,
    listed: Object.fromEntries(seconds),
    window: windowOf(window),
    listing: listingOf(listing),
  };
}

function windowOf(saved: Json | undefined): StripeCursor["window"] {
  if (!isJsonObject(saved)) return undefined;
  const { to, after } = saved;
  return typeof to === "number" && typeof after === "string" ? { to, after } : undefined;
}

function listingOf(saved: Json | undefined): StripeCursor["listing"] {
  if (!isJsonObject(saved)) return undefined;
  const { type, at, after } = saved;
  if (typeof type !== "string" || typeof at !== "number" || typeof after !== "string") return undefined;
  return { type, at, after };
}
