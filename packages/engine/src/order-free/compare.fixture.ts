/** Runs sets of records through an engine in some arrangement, and tells where its tables differ from the oracle's. */
import { ident } from "@weir/compile";
import type { Program, RollupSpec, SessionsSpec } from "@weir/compile";
import { outcomeOf, tableRows, unscaled } from "@weir/testkit";
import type { CleanRecord, OracleRow, Outcome, Received, Scalar, Sources } from "@weir/testkit";
import { expect } from "vitest";
import { Harness } from "../harness.fixture.ts";
import type { Arrangement } from "./records.fixture.ts";

/** A project, and what its tables have to hold. */
export interface OrderFreeProject {
  readonly sources: Sources;
  /** Tables that a start may lack: a restart without one of them drops it, and the next builds it from history. */
  readonly tables: readonly string[];
  /** @param without a table to leave out, and with it those that read it */
  program(without?: string): Program;
  /** Queries in place of `SELECT * FROM <view>`. */
  readonly queries?: Readonly<Record<string, string>>;
  /** The rows of each view that users read. */
  expected(clean: readonly CleanRecord[]): Readonly<Record<string, readonly OracleRow[]>>;
}

/**
 * All that a user can read of a project's tables, as sorted texts. Columns that tell of receipt (`_received_at`, `_source`,
 * `_writer`, `_number`, `_line`) are left out: where several copies of a record came, they tell of the one that came first.
 */
export interface Contents {
  /** `contract/id` and the text of the record that counts. */
  readonly clean: readonly string[];
  readonly tables: Readonly<Record<string, readonly string[]>>;
  readonly quarantine: readonly string[];
  readonly received: readonly string[];
  readonly outcomes: readonly string[];
}

/** @param defect what is wrong with the program */
export async function run(
  project: OrderFreeProject,
  records: readonly Received[],
  arrangement: Arrangement,
  defect: (program: Program) => Program = (program) => program,
): Promise<Contents> {
  const { order, steps, lanes, batchBytes, recentIds } = arrangement;
  const whole = defect(project.program());
  const waiting = records
    .map((record, i) => ({ record, at: order[i % order.length] ?? 0 }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ record }) => record);
  const harness = new Harness({
    settings: { lanes, batchBytes },
    internals: { recentIds, upkeepEveryMs: 20 },
  });
  const appended: Received[] = [];
  try {
    await harness.open(whole);
    harness.engine.start();
    for (const { records: size, writer, next, table } of steps) {
      const some = waiting.splice(0, size);
      if (some.length === 0) break;
      appended.push(...some);
      await harness.append(some, writer);
      if (next === "go on") continue;
      await harness.seal();
      if (next === "drain") {
        await harness.drain();
        compareWithOracle(project, await contentsOf(project, harness), appended);
      }
      if (next === "restart without a table") {
        await harness.open(defect(project.program(project.tables[table % project.tables.length])));
        harness.engine.start();
      }
      if (next === "restart" || next === "restart without a table") {
        await harness.open(whole);
        harness.engine.start();
      }
    }
    await harness.load(waiting);
    const contents = await contentsOf(project, harness);
    compareWithOracle(project, contents, records);
    expect((await harness.engine.verify()).checks.filter(({ ok }) => !ok)).toEqual([]);
    return contents;
  } finally {
    await harness.end();
  }
}

/** Throws where the contents are not those that the oracle states. */
export function compareWithOracle(
  project: OrderFreeProject,
  contents: Contents,
  records: readonly Received[],
): void {
  const outcome = outcomeOf(project.sources, records);
  const clean = chosen(outcome, contents.clean);
  const expected = Object.entries(project.expected(clean)).map(([name, rows]) => [name, rowTexts(rows)]);
  const found = Object.entries(contents.tables).map(([name, rows]) => [name, withoutSessionIds(rows)]);
  expect(Object.fromEntries(found), "tables").toEqual(Object.fromEntries(expected));
  const quarantine = outcome.quarantined.map(({ source, contract, reason, body }) =>
    JSON.stringify([source, contract, reason, body]),
  );
  expect(contents.quarantine, "quarantine").toEqual(quarantine.toSorted());
  const received = [...outcome.bySource].map(
    ([key, count]) => `${key} ${count.received} ${count.quarantined}`,
  );
  expect(contents.received, "received and quarantined").toEqual(received.toSorted());
  const outcomes = [...outcome.byContract].map(
    ([name, count]) => `${name} ${count.loaded} ${count.duplicate}`,
  );
  expect(contents.outcomes, "loaded and duplicate").toEqual(outcomes.toSorted());
}

/** The clean set. Of several texts with one id and time the engine may choose; which one it did, its clean zone tells. */
function chosen({ candidates }: Outcome, found: readonly string[]): CleanRecord[] {
  const texts = new Set(found);
  const clean = [...candidates.values()].map((rivals) => {
    const picked = rivals.filter((rival) => texts.has(cleanText(rival)));
    expect(picked, `the one of ${rivals.map(cleanText).join(" or ")}`).toHaveLength(1);
    return picked;
  });
  expect(found, "clean records").toHaveLength(clean.length);
  return clean.flat();
}

const cleanText = ({ contract, id, text }: CleanRecord): string => `${contract.name}/${id} ${text}`;

async function contentsOf(project: OrderFreeProject, harness: Harness): Promise<Contents> {
  const views = new Set(Object.values(project.sources).flatMap(({ contracts }) => contracts));
  const clean: string[] = [];
  for (const { name, id } of views) {
    // The record a row was made of, from the raw zone.
    const rows = await harness.rows(
      `SELECT c."${id}", r.text FROM "${name}" c LEFT JOIN raw r
       ON r.source = c._source AND r.writer = c._writer AND r.number = c._number AND r.line = c._line`,
    );
    clean.push(...rows.map(([key, text]) => `${name}/${String(key)} ${String(text)}`));
  }
  const found: [string, string[]][] = [];
  for (const name of Object.keys(project.expected([])))
    found.push([name, await tableTexts(harness, name, project.queries?.[name])]);
  const quarantine = await harness.rows(
    "SELECT source, contract, reason, coalesce(text, base64, '') FROM quarantine",
  );
  const received = await harness.rows(
    "SELECT source || '/' || contract, received::VARCHAR, quarantined::VARCHAR FROM weir.counts WHERE received > 0",
  );
  const outcomes = await harness.rows(
    "SELECT contract, sum(loaded)::VARCHAR, sum(duplicate)::VARCHAR FROM weir.counts GROUP BY ALL HAVING sum(loaded) > 0",
  );
  return {
    clean: clean.toSorted(),
    tables: Object.fromEntries(found),
    quarantine: quarantine.map((row) => JSON.stringify(row)).toSorted(),
    received: received.map((row) => row.join(" ")).toSorted(),
    outcomes: outcomes.map((row) => row.join(" ")).toSorted(),
  };
}

/** The rows of a table as sorted texts. Times are us since 1970, dates days. */
export async function tableTexts(
  harness: Harness,
  name: string,
  query = `SELECT * FROM ${name}`,
): Promise<string[]> {
  const { columns } = await harness.engine.query(`SELECT * FROM (${query}) LIMIT 0`);
  const selected = columns.map(({ name: column, type }) => {
    if (type === "TIMESTAMP") return `epoch_us(${ident(column)}) AS ${ident(column)}`;
    return type === "DATE"
      ? `(${ident(column)} - DATE '1970-01-01')::BIGINT AS ${ident(column)}`
      : ident(column);
  });
  const rows = await harness.rows(`SELECT ${selected.join(", ")} FROM (${query})`);
  const texts = rows.map((row) =>
    columns
      .map(({ name: column, type }, i) => [column, cellText(type, row[i])] as const)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([column, text]) => `${column}=${text}`)
      .join(" "),
  );
  return texts.toSorted();
}

function cellText(type: string, value: unknown): string {
  if (value === null) return "null";
  const plain = typeof value === "string" ? value : JSON.stringify(value);
  const scale = /^DECIMAL\(\d+,(\d+)\)$/.exec(type)?.[1];
  if (scale !== undefined) return String(unscaled(plain, Number(scale)));
  if (type === "VARCHAR" || type === "UUID") return JSON.stringify(value);
  return Object.is(value, -0) ? "-0" : plain;
}

export const withoutSessionIds = (rows: readonly string[]): string[] =>
  rows.map((row) => row.replace(/session_id="\w*" /, "")).toSorted();

/** The rows of a table that the oracle states, in the form of `tableTexts` without session ids. */
export const oracleTexts = (table: SessionsSpec | RollupSpec, clean: readonly CleanRecord[]): string[] =>
  rowTexts(tableRows(table, clean));

export const rowTexts = (rows: readonly OracleRow[]): string[] => rows.map(rowText).toSorted();

function rowText(row: OracleRow): string {
  const cell = (value: Scalar): string => {
    if (typeof value === "string") return JSON.stringify(value);
    return Object.is(value, -0) ? "-0" : String(value);
  };
  return Object.entries(row)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([column, value]) => `${column}=${cell(value)}`)
    .join(" ");
}
