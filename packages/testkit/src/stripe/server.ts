import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Json, JsonObject } from "@weir/contract";
import { type Chances, seeded } from "../crash/seeded.ts";
import { type Answer, type Asked, type Fault, FaultyHttp } from "../saas/faulty-http.ts";

export interface StripeServerOptions {
  readonly now: () => number;
  readonly seed: number;
  readonly apiKey?: string;
  /** Version that events of the list are rendered in. */
  readonly apiVersion: string;
  /** The longest time, in ms, until an event is in the list. */
  readonly listLagMs?: number;
  readonly fault?: (asked: Asked, n: number) => Fault | undefined;
  /** Types that the key may not read. */
  readonly forbidden?: readonly string[];
  /** Told of each event when it happens; a webhook would carry it. */
  readonly onEvent?: (event: StripeEvent) => void;
}

export interface StripeEvent extends JsonObject {
  readonly id: string;
  readonly type: string;
  readonly created: number;
}

interface KeptEvent {
  readonly event: StripeEvent;
  readonly visibleMs: number;
}

/** Stripe's own example of each type of object (stripe/openapi, MIT; see objects.LICENSE). */
export const stripeObjects = JSON.parse(
  readFileSync(new URL("objects.json", import.meta.url), "utf8"),
) as Readonly<Record<string, JsonObject>>;

const keptMs = 30 * 86_400_000;
const paths: Readonly<Record<string, string>> = {
  charge: "charges",
  "checkout.session": "checkout/sessions",
  coupon: "coupons",
  customer: "customers",
  invoice: "invoices",
  payment_intent: "payment_intents",
  product: "products",
  refund: "refunds",
  subscription: "subscriptions",
};

/**
 * Stands in for Stripe's API as far as captures use it: objects with their events, lists of both in pages, newest first and by when they were
 * created, and single objects. Honest about what hurts: events of one second in no order that means anything, a list that shows an event only some
 * time after it happened and forgets it after 30 days, deleted objects in no list, limits and failures as asked for.
 */
export class StripeServer {
  readonly #options: StripeServerOptions;
  readonly #http: FaultyHttp;
  readonly #chances: Chances;
  readonly #objects = new Map<string, JsonObject>();
  readonly #deleted = new Set<string>();
  readonly #events: KeptEvent[] = [];
  #ids = 0;

  constructor(options: StripeServerOptions) {
    this.#options = options;
    this.#chances = seeded(options.seed);
    this.#http = new FaultyHttp(options, (asked) => this.#answer(asked));
  }

  static async start(options: StripeServerOptions): Promise<StripeServer> {
    const server = new StripeServer(options);
    await server.#http.listen();
    return server;
  }

  get url(): string {
    return this.#http.url;
  }

  get requests(): number {
    return this.#http.requests;
  }

  close(): Promise<void> {
    return this.#http.close();
  }

  /** Every event so far, oldest first, as webhooks carry it. */
  get events(): readonly StripeEvent[] {
    return this.#events.map(({ event }) => event);
  }

  /** The objects of a type that there are. */
  all(type: string): JsonObject[] {
    return [...this.#objects.values()].filter(
      (object) => object["object"] === type && !this.#isDeleted(object),
    );
  }

  /** A new object made from Stripe's example, and its event. */
  create(type: string, fields: JsonObject = {}, eventType = `${type}.created`): string {
    const example = stripeObjects[type];
    if (example === undefined) throw new Error(`no example of ${type}`);
    const id = `${textOf(example["id"]).split("_")[0]}_${this.#newId()}`;
    this.#objects.set(id, { ...example, created: this.#second(), ...fields, id });
    this.#tell(id, eventType);
    return id;
  }

  update(id: string, fields: JsonObject, eventType?: string): void {
    const object = this.#get(id);
    this.#objects.set(id, { ...object, ...fields });
    this.#tell(id, eventType ?? `${textOf(object["object"])}.updated`);
  }

  /** A change of which no event tells. */
  updateSilently(id: string, fields: JsonObject): void {
    this.#objects.set(id, { ...this.#get(id), ...fields });
  }

  remove(id: string): void {
    const object = this.#get(id);
    this.#tell(id, `${textOf(object["object"])}.deleted`);
    this.#deleted.add(id);
  }

  #get(id: string): JsonObject {
    const object = this.#objects.get(id);
    if (object === undefined || this.#deleted.has(id)) throw new Error(`no object ${id}`);
    return object;
  }

  #isDeleted = (object: JsonObject): boolean => this.#deleted.has(textOf(object["id"]));

  #second(): number {
    return Math.floor(this.#options.now() / 1000);
  }

  #newId(): string {
    const random = createHash("sha256")
      .update(`${this.#options.seed} ${this.#ids++}`)
      .digest("base64url");
    return random.replaceAll(/[-_]/g, "x").slice(0, 24);
  }

  #tell(id: string, type: string): void {
    const event: StripeEvent = {
      id: `evt_${this.#newId()}`,
      object: "event",
      api_version: this.#options.apiVersion,
      created: this.#second(),
      data: { object: structuredClone(this.#get(id)) as Json },
      livemode: false,
      pending_webhooks: 1,
      request: { id: null, idempotency_key: null },
      type,
    };
    const lagMs = this.#chances.below((this.#options.listLagMs ?? 0) + 1);
    this.#events.push({ event, visibleMs: this.#options.now() + lagMs });
    this.#options.onEvent?.(event);
  }

  #answer({ method, path, query, headers }: Asked): Answer {
    const { apiKey = "sk_test_1", forbidden = [] } = this.#options;
    if (headers.authorization !== `Bearer ${apiKey}`) {
      return refusal(401, { type: "invalid_request_error", message: `Invalid API Key provided: ${apiKey}` });
    }
    if (method !== "GET") return refusal(405, { type: "invalid_request_error" });
    if (path === "/v1/events") return this.#list(this.#listedEvents(query), path, query);
    for (const [type, name] of Object.entries(paths)) {
      if (path !== `/v1/${name}` && !path.startsWith(`/v1/${name}/`)) continue;
      if (forbidden.includes(type)) {
        return refusal(403, {
          type: "invalid_request_error",
          message: "The provided key does not have the required permissions",
        });
      }
      if (path === `/v1/${name}`) return this.#list(this.#listedObjects(type, query), path, query);
      return this.#single(path.slice(`/v1/${name}/`.length), type);
    }
    return refusal(404, {
      type: "invalid_request_error",
      message: `Unrecognized request URL (GET: ${path})`,
    });
  }

  #single(id: string, type: string): Answer {
    const object = this.#objects.get(id);
    if (object === undefined || object["object"] !== type) return missing(type, id);
    if (!this.#deleted.has(id)) return { status: 200, body: object };
    // Some types are remembered when they are gone.
    return type === "customer"
      ? { status: 200, body: { id, object: type, deleted: true } }
      : missing(type, id);
  }

  /** Newest first; within a second in an order that has nothing to do with what happened first. */
  #listedEvents(query: URLSearchParams): JsonObject[] {
    const nowMs = this.#options.now();
    const above = query.get("created[gt]");
    const upTo = query.get("created[lte]");
    const digest = (id: string): string => createHash("md5").update(id).digest("hex");
    return this.#events
      .filter(({ event, visibleMs }) => visibleMs <= nowMs && event.created * 1000 > nowMs - keptMs)
      .map(({ event }) => ({ ...event, pending_webhooks: 0 }))
      .filter(({ created }) => above === null || created > Number(above))
      .filter(({ created }) => upTo === null || created <= Number(upTo))
      .sort((a, b) => b.created - a.created || (digest(a.id) < digest(b.id) ? -1 : 1));
  }

  #listedObjects(type: string, query: URLSearchParams): JsonObject[] {
    const from = Number(query.get("created[gte]") ?? 0);
    const to = Number(query.get("created[lt]") ?? Infinity);
    const all = this.all(type)
      .toReversed()
      .filter(({ created }) => Number(created) >= from && Number(created) < to);
    return type === "subscription" && query.get("status") !== "all"
      ? all.filter(({ status }) => status !== "canceled")
      : all;
  }

  #list(all: readonly JsonObject[], url: string, query: URLSearchParams): Answer {
    const limit = Number(query.get("limit") ?? 10);
    const after = query.get("starting_after");
    const found = after === null ? -1 : all.findIndex(({ id }) => id === after);
    if (after !== null && found < 0) return { ...missing("object", after), status: 400 };
    const data = all.slice(found + 1, found + 1 + limit);
    return { status: 200, body: { object: "list", url, data, has_more: found + 1 + limit < all.length } };
  }
}

const textOf = (value: Json | undefined): string => (typeof value === "string" ? value : "");

function refusal(status: number, error: JsonObject): Answer {
  return { status, body: { error } };
}

function missing(type: string, id: string): Answer {
  return refusal(404, {
    type: "invalid_request_error",
    code: "resource_missing",
    message: `No such ${type}: '${id}'`,
  });
}
