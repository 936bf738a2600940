import { createHash, createVerify } from "node:crypto";
import { type Chances, seeded } from "../crash/seeded.ts";
import { type Answer, type Asked, type Fault, FaultyHttp } from "../saas/faulty-http.ts";
import { type BulkJobs, StandJobs } from "./jobs.ts";
import { type StandField, StandObject, type StandValue } from "./rows.ts";
import { type ParsedQuery, QueryRefused, parseQuery } from "./soql.ts";

export interface SalesforceServerOptions {
  readonly now: () => number;
  readonly seed: number;
  readonly fault?: (asked: Asked, n: number) => Fault | undefined;
  /** Rows of a REST page; Salesforce decides, up to 2,000. */
  readonly pageRows?: number;
  /** Rows of a page of bulk results, at most. */
  readonly bulkPageRows?: number;
  /** How long a token, the address of a next page, and a job's results are good for. */
  readonly sessionMs?: number;
  readonly locatorMs?: number;
  readonly resultsMs?: number;
  /** How long a job takes. */
  readonly jobMs?: number;
  /** Requests of all users in 24 hours. */
  readonly dailyRequests?: number;
  /** Objects that the Bulk API does not take. */
  readonly restOnly?: readonly string[];
  /** The certificate's key, for logins by JWT. */
  readonly publicKey?: string;
}

interface Locator {
  readonly query: ParsedQuery;
  /** Of all rows of the query; the rows themselves are read when their page is asked for. */
  readonly ids: readonly string[];
  readonly expiresMs: number;
}

const base = "/services/data/v62.0";
const dayMs = 86_400_000;
const deletionsMs = 15 * dayMs;

/**
 * Stands in for an organisation as far as reading it goes: logins, describe, queryAll with locators, getDeleted, bulk query jobs, limits. Honest about
 * what hurts: rows that become visible seconds after their SystemModstamp, pages of rows that have changed since the query, sessions and
 * locators that expire, jobs that take time, fail and forget, a quota that others use up too.
 */
export class SalesforceServer {
  readonly #options: SalesforceServerOptions;
  readonly #http: FaultyHttp;
  readonly #objects = new Map<string, StandObject>();
  readonly #hidden = new Set<string>();
  readonly #tokens = new Map<string, number>();
  readonly #locators = new Map<string, Locator>();
  readonly #jobs: BulkJobs;
  #requestTimes: number[] = [];
  #serial = 0;
  /** Logins, and requests by the first parts of their address. */
  readonly served: Record<string, number> = {};
  readonly chances: Chances;

  constructor(options: SalesforceServerOptions) {
    this.#options = options;
    this.chances = seeded(options.seed);
    this.#http = new FaultyHttp(options, (asked) => this.#answer(asked));
    this.#jobs = new StandJobs({
      now: options.now,
      jobMs: options.jobMs ?? 10_000,
      resultsMs: options.resultsMs ?? 7 * dayMs,
      pageRows: options.bulkPageRows ?? 50_000,
      run: (query) => this.#run(query),
      rowOf: (query, id) => this.object(query.object).seen(id)?.values,
    });
  }

  static async start(options: SalesforceServerOptions): Promise<SalesforceServer> {
    const server = new SalesforceServer(options);
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

  /** Makes an object with the fields that every object has, and these. */
  define(name: string, keyPrefix: string, fields: readonly StandField[]): StandObject {
    const object = new StandObject(name, keyPrefix, fields, this.#options.now);
    this.#objects.set(name, object);
    return object;
  }

  object(name: string): StandObject {
    const object = this.#objects.get(name);
    if (object === undefined) throw new Error(`no object ${name}`);
    return object;
  }

  /** The user no longer sees the object, or sees it again. */
  hide(name: string, hidden: boolean): void {
    if (hidden) this.#hidden.add(name);
    else this.#hidden.delete(name);
  }

  /** Rows that the user does not see. */
  readonly invisible = new Set<string>();

  /** Requests of others. */
  useQuota(requests: number): void {
    for (let i = 0; i < requests; i++) this.#requestTimes.push(this.#options.now());
  }

  /** Ends all sessions. */
  expireSessions(): void {
    this.#tokens.clear();
  }

  /** The next job fails. */
  failNextJob(): void {
    this.#jobs.failNext();
  }

  get jobs(): number {
    return this.#jobs.count;
  }

  #answer(asked: Asked): Answer {
    const answer = asked.path === "/services/oauth2/token" ? this.#login(asked) : this.#authorized(asked);
    const kind = asked.path.replace(base, "").split("/").slice(1, 3).join("/");
    this.served[kind] = (this.served[kind] ?? 0) + 1;
    return answer;
  }

  #login({ body }: Asked): Answer {
    const form = new URLSearchParams(body);
    const grant = form.get("grant_type");
    const isRight =
      (grant === "client_credentials" &&
        form.get("client_id") === "app" &&
        form.get("client_secret") === "secret") ||
      (grant === "refresh_token" &&
        form.get("client_id") === "app" &&
        form.get("refresh_token") === "refresh") ||
      (grant === "urn:ietf:params:oauth:grant-type:jwt-bearer" &&
        this.#isRightJwt(form.get("assertion") ?? ""));
    if (!isRight)
      return { status: 400, body: { error: "invalid_grant", error_description: "authentication failure" } };
    const token = createHash("sha256")
      .update(`${this.#options.seed} ${this.#serial++}`)
      .digest("hex");
    this.#tokens.set(token, this.#options.now() + (this.#options.sessionMs ?? dayMs));
    return { status: 200, body: { access_token: token, instance_url: this.url, token_type: "Bearer" } };
  }

  #isRightJwt(assertion: string): boolean {
    const { publicKey, now } = this.#options;
    const [header = "", claims = "", signature = ""] = assertion.split(".");
    if (publicKey === undefined) return false;
    const isSigned = createVerify("RSA-SHA256")
      .update(`${header}.${claims}`)
      .verify(publicKey, signature, "base64url");
    const { iss, sub, aud, exp } = JSON.parse(Buffer.from(claims, "base64url").toString()) as Record<
      string,
      unknown
    >;
    const isTimely = Number(exp) > now() / 1000 && Number(exp) <= now() / 1000 + 300;
    return (
      isSigned &&
      iss === "app" &&
      sub === "weir@acme.example" &&
      aud === "https://login.salesforce.com" &&
      isTimely
    );
  }

  #authorized(asked: Asked): Answer {
    const { now, dailyRequests = 100_000 } = this.#options;
    const token = /^Bearer (\w+)$/.exec(asked.headers.authorization ?? "")?.[1] ?? "";
    if ((this.#tokens.get(token) ?? 0) <= now()) {
      return refusal(401, "INVALID_SESSION_ID", "Session expired or invalid");
    }
    this.#requestTimes = this.#requestTimes.filter((ms) => ms > now() - dayMs);
    if (this.#requestTimes.length >= dailyRequests) {
      return refusal(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.");
    }
    this.#requestTimes.push(now());
    const usage = { "sforce-limit-info": `api-usage=${this.#requestTimes.length}/${dailyRequests}` };
    const answer = this.#resource(asked);
    return { ...answer, headers: { ...usage, ...answer.headers } };
  }

  #resource(asked: Asked): Answer {
    const { method, path, query } = asked;
    if (!path.startsWith(`${base}/`))
      return refusal(404, "NOT_FOUND", "The requested resource does not exist");
    const [first = "", second = "", third = ""] = path.slice(base.length + 1).split("/");
    try {
      if (first === "queryAll" && second === "") return this.#page(this.#begin(query.get("q") ?? ""), 0);
      if (first === "query") return this.#next(second);
      if (first === "sobjects" && third === "describe") return this.#describe(second);
      if (first === "sobjects" && third === "deleted") return this.#deleted(second, query);
      if (first === "limits") return this.#limits();
      if (first === "jobs" && second === "query") return this.#job(method, path, asked);
    } catch (error) {
      if (error instanceof QueryRefused) return refusal(400, error.code, error.message);
      throw error;
    }
    return refusal(404, "NOT_FOUND", "The requested resource does not exist");
  }

  #find = (name: string): StandObject | undefined =>
    this.#hidden.has(name) ? undefined : this.#objects.get(name);

  #run(query: ParsedQuery): string[] {
    const object = this.object(query.object);
    const rows = object.ids
      .filter((id) => !this.invisible.has(id))
      .flatMap((id) => object.seen(id) ?? [])
      .filter(query.keeps);
    const stampOf = ({ values }: (typeof rows)[number]): string => String(values["SystemModstamp"]);
    if (query.isOrdered) {
      rows.sort((a, b) =>
        stampOf(a) === stampOf(b) ? (a.Id < b.Id ? -1 : 1) : stampOf(a) < stampOf(b) ? -1 : 1,
      );
    }
    return rows.map(({ Id }) => Id);
  }

  #begin(soql: string): string {
    const query = parseQuery(soql, this.#find);
    const name = `01g${String(this.#serial++).padStart(12, "0")}`;
    const expiresMs = this.#options.now() + (this.#options.locatorMs ?? 900_000);
    this.#locators.set(name, { query, ids: this.#run(query), expiresMs });
    return name;
  }

  #next(address: string): Answer {
    const [name = "", offset = "0"] = address.split("-");
    const locator = this.#locators.get(name);
    if (locator === undefined || locator.expiresMs <= this.#options.now()) {
      return refusal(400, "INVALID_QUERY_LOCATOR", "invalid query locator");
    }
    return this.#page(name, Number(offset));
  }

  #page(name: string, offset: number): Answer {
    const { query, ids } = this.#locators.get(name)!;
    if (query.isCount) return { status: 200, body: { totalSize: ids.length, done: true, records: [] } };
    const object = this.object(query.object);
    const end = offset + (this.#options.pageRows ?? 2000);
    const records = ids.slice(offset, end).flatMap((id) => {
      const row = object.seen(id);
      if (row === undefined) return [];
      const values = query.fields.map(
        (field) => [field, restValue(row.values[field] ?? null, field, object)] as const,
      );
      return [
        {
          attributes: { type: object.name, url: `${base}/sobjects/${object.name}/${id}` },
          ...Object.fromEntries(values),
        },
      ];
    });
    const done = end >= ids.length;
    const next = done ? {} : { nextRecordsUrl: `${base}/query/${name}-${end}` };
    return { status: 200, body: { totalSize: ids.length, done, ...next, records } };
  }

  #describe(name: string): Answer {
    const object = this.#find(name);
    if (object === undefined) return refusal(404, "NOT_FOUND", "The requested resource does not exist");
    const fields = object.fields.map((field) => ({
      length: 0,
      precision: 0,
      scale: 0,
      calculated: false,
      ...field,
    }));
    return { status: 200, body: { name, queryable: true, replicateable: true, fields } };
  }

  #deleted(name: string, query: URLSearchParams): Answer {
    const now = this.#options.now();
    const start = Date.parse(query.get("start") ?? "");
    const end = Date.parse(query.get("end") ?? "");
    if (!(end - start >= 60_000))
      return refusal(
        400,
        "INVALID_REPLICATION_DATE",
        "endDate must be at least one minute greater than startDate",
      );
    if (start < now - deletionsMs)
      return refusal(400, "INVALID_REPLICATION_DATE", "startDate before org creation or too old");
    const deletedRecords = this.object(name)
      .deletions.filter(({ deletedMs }) => deletedMs >= start && deletedMs < end)
      .map(({ id, deletedMs }) => ({
        id,
        deletedDate: new Date(deletedMs).toISOString().replace("Z", "+0000"),
      }));
    return {
      status: 200,
      body: {
        deletedRecords,
        earliestDateAvailable: new Date(now - deletionsMs).toISOString().replace("Z", "+0000"),
        latestDateCovered: new Date(Math.min(now, end)).toISOString().replace("Z", "+0000"),
      },
    };
  }

  #limits(): Answer {
    const { dailyRequests = 100_000 } = this.#options;
    const left = dailyRequests - this.#requestTimes.length;
    return { status: 200, body: { DailyApiRequests: { Max: dailyRequests, Remaining: left } } };
  }

  #job(method: string, path: string, { body, query }: Asked): Answer {
    const [id = "", part = ""] = path.slice(`${base}/jobs/query`.length + 1).split("/");
    if (method === "POST") {
      const { query: soql = "", operation } = JSON.parse(body) as { query?: string; operation?: string };
      const parsed = parseQuery(soql, this.#find);
      if (operation !== "queryAll") return refusal(400, "INVALIDJOB", "operation");
      if (this.#options.restOnly?.includes(parsed.object) === true) {
        return refusal(400, "INVALIDENTITY", `Entity '${parsed.object}' is not supported by the Bulk API.`);
      }
      return {
        status: 200,
        body: { id: this.#jobs.create(parsed), state: "UploadComplete", object: parsed.object },
      };
    }
    return part === "results" ? this.#jobs.results(id, query) : this.#jobs.state(id);
  }
}

/** Times as the REST API writes them. */
function restValue(value: StandValue, field: string, object: StandObject): StandValue {
  const isTime = object.fields.some(({ name, type }) => name === field && type === "datetime");
  return isTime && typeof value === "string" ? value.replace("Z", "+0000") : value;
}

export function refusal(status: number, errorCode: string, message: string): Answer {
  return { status, body: [{ message, errorCode }] };
}
