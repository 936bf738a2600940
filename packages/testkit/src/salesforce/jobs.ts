import type { Answer } from "../saas/faulty-http.ts";
import type { StandValue, StandValues } from "./rows.ts";
import type { ParsedQuery } from "./soql.ts";

export interface BulkJobs {
  readonly count: number;
  create(query: ParsedQuery): string;
  failNext(): void;
  state(id: string): Answer;
  results(id: string, query: URLSearchParams): Answer;
}

export interface StandJobsOptions {
  readonly now: () => number;
  readonly jobMs: number;
  readonly resultsMs: number;
  readonly pageRows: number;
  readonly run: (query: ParsedQuery) => readonly string[];
  readonly rowOf: (query: ParsedQuery, id: string) => StandValues | undefined;
}

interface Job {
  readonly query: ParsedQuery;
  readonly createdMs: number;
  readonly fails: boolean;
  /** Once it is complete: the lines of its results. */
  lines: string[] | undefined;
}

/** Query jobs of the Bulk API 2.0. */
export class StandJobs implements BulkJobs {
  readonly #options: StandJobsOptions;
  readonly #jobs = new Map<string, Job>();
  #failNext = false;

  constructor(options: StandJobsOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#jobs.size;
  }

  create(query: ParsedQuery): string {
    const id = `750${String(this.#jobs.size).padStart(12, "0")}AAA`;
    this.#jobs.set(id, { query, createdMs: this.#options.now(), fails: this.#failNext, lines: undefined });
    this.#failNext = false;
    return id;
  }

  failNext(): void {
    this.#failNext = true;
  }

  state(id: string): Answer {
    const job = this.#find(id);
    if (job === undefined) return gone();
    const state = this.#stateOf(job);
    const failed =
      state === "Failed"
        ? { errorMessage: "InternalServerError : Error encountered when executing batch" }
        : {};
    return { status: 200, body: { id, operation: "queryAll", object: job.query.object, state, ...failed } };
  }

  results(id: string, query: URLSearchParams): Answer {
    const job = this.#find(id);
    if (job === undefined) return gone();
    if (this.#stateOf(job) !== "JobComplete") {
      return { status: 400, body: [{ errorCode: "INVALIDJOBSTATE", message: "the job has no results yet" }] };
    }
    const { fields } = job.query;
    const lines = job.lines ?? [];
    const from = Number(Buffer.from(query.get("locator") ?? "", "base64").toString() || "0");
    const size = Math.min(Number(query.get("maxRecords") ?? 50_000), this.#options.pageRows);
    const page = lines.slice(from, from + size);
    const end = from + page.length;
    return {
      status: 200,
      headers: {
        "sforce-numberofrecords": String(page.length),
        "sforce-locator": end < lines.length ? Buffer.from(String(end)).toString("base64") : "null",
      },
      body: [fields.map(quoted).join(","), ...page].map((line) => `${line}\n`).join(""),
    };
  }

  #find(id: string): Job | undefined {
    const job = this.#jobs.get(id);
    return job === undefined || job.createdMs + this.#options.resultsMs <= this.#options.now()
      ? undefined
      : job;
  }

  #stateOf(job: Job): string {
    const { now, jobMs, run, rowOf } = this.#options;
    const ageMs = now() - job.createdMs;
    if (ageMs < jobMs / 4) return "UploadComplete";
    if (ageMs < jobMs) return "InProgress";
    if (job.fails) return "Failed";
    // Results are what the rows were when the job ran.
    job.lines ??= run(job.query).flatMap((id) => {
      const values = rowOf(job.query, id);
      return values === undefined
        ? []
        : [job.query.fields.map((field) => csvValue(values[field] ?? null)).join(",")];
    });
    return "JobComplete";
  }
}

const csvValue = (value: StandValue): string => (value === null ? "" : quoted(String(value)));
const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
const gone = (): Answer => ({
  status: 404,
  body: [{ errorCode: "NOT_FOUND", message: "The requested resource does not exist" }],
});
