import { DuckDBInstance } from "@duckdb/node-api";
import type { DuckDBConnection, DuckDBValue } from "@duckdb/node-api";
import { compileProject } from "@weir/compile";
import type { ContractProgram } from "@weir/compile";
import { contract, validator } from "@weir/contract";
import type { Contract } from "@weir/contract";
import {
  caseContract,
  caseRecord,
  caseTables,
  columnType,
  columnValue,
  contractArbitrary,
  instanceArbitrary,
  jsonTree,
  keptJson,
  unknownMembers,
} from "@weir/testkit";
import type { CaseTable, ColumnType, JsonTree } from "@weir/testkit";
import * as fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { Harness } from "./harness.fixture.ts";
import { plainValue } from "./observed-values.fixture.ts";

interface Judged {
  readonly contract: Contract;
  readonly texts: readonly string[];
}

let connection: DuckDBConnection;
beforeAll(async () => {
  connection = await (await DuckDBInstance.create(":memory:", { threads: "1" })).connect();
});

function programOf(contract: Contract): ContractProgram {
  const { contracts } = compileProject({ name: "p", sources: { s: { contracts: [contract] } }, tables: {} });
  const [program] = contracts;
  if (program === undefined) throw new Error("unreachable: the project has a contract");
  return program;
}

/** The same contract under another name: one engine run judges many. */
const renamed = ({ id, time, schema }: Contract, name: string): Contract =>
  contract(name, { version: "1.0.0", owner: "testkit", id, time, fields: schema });

/**
 * Runs every text through an engine and compares what it loaded and what it put in quarantine with plain TypeScript.
 *
 * @param defect what is wrong with the SQL of rows
 */
async function compareWithTypeScript(
  all: readonly Judged[],
  defect: (sql: string) => string = (sql) => sql,
): Promise<{ loaded: number; quarantined: number }> {
  const judged = all.map(({ contract, texts }, i) => ({ contract: renamed(contract, `c${i}`), texts }));
  const compiled = compileProject({
    name: "p",
    sources: { s: { contracts: judged.map((one) => one.contract) } },
    tables: {},
  });
  const program = {
    ...compiled,
    contracts: compiled.contracts.map((one) => ({
      ...one,
      rows: { ...one.rows, sql: defect(one.rows.sql) },
    })),
  };
  const harness = new Harness();
  try {
    await harness.open(program);
    const records = judged.flatMap(({ contract, texts }) =>
      texts.map((text) => ({ source: "s", sent: contract.name, text })),
    );
    await harness.load(records);
    let quarantined = 0;
    let loaded = 0;
    let line = 0;
    for (const [i, { contract, texts }] of judged.entries()) {
      const one = program.contracts[i];
      if (one === undefined) throw new Error("unreachable: programs follow contracts");
      const lines = new Map(texts.map((text) => [++line, text]));
      quarantined += await compareQuarantine(harness, contract, lines);
      loaded += await compareLoaded(harness, one, lines);
    }
    expect((await harness.engine.verify()).checks.filter(({ ok }) => !ok)).toEqual([]);
    return { loaded, quarantined };
  } finally {
    await harness.end();
  }
}

async function compareQuarantine(
  harness: Harness,
  contract: Contract,
  lines: ReadonlyMap<number, string>,
): Promise<number> {
  const judge = validator(contract);
  const expected = [...lines].flatMap(([line, text]) => {
    const violations = judge(JSON.parse(text));
    return violations.length === 0
      ? []
      : [[line, "contract_violation", text, JSON.parse(JSON.stringify(violations)) as unknown]];
  });
  const rows = await harness.rows(
    `SELECT line, reason, text, violations FROM quarantine WHERE contract = '${contract.name}' ORDER BY line`,
  );
  const found = rows.map(([line, reason, text, violations]) => [
    Number(line),
    reason,
    text,
    JSON.parse(violations as string) as unknown,
  ]);
  expect(found).toEqual(expected);
  return found.length;
}

function expectedValue(type: ColumnType, tree: JsonTree | undefined, where: string): unknown {
  try {
    return columnValue(type, tree);
  } catch (error) {
    throw new Error(`the column cannot hold the value: ${where}`, { cause: error });
  }
}

/** A value as the client of DuckDB gives it: texts lose U+FEFF at their start. */
function decoded(type: ColumnType, value: unknown): unknown {
  if (type.kind === "scalar" && type.name === "VARCHAR" && typeof value === "string")
    return withoutMark(value);
  if (type.kind === "list" && Array.isArray(value)) return value.map((item) => decoded(type.item, item));
  if (type.kind === "map" && value instanceof Map) {
    const entries = [...(value as Map<string, unknown>)];
    return new Map(entries.map(([key, item]) => [withoutMark(key), decoded(type.value, item)]));
  }
  if (type.kind === "struct" && typeof value === "object" && value !== null) {
    const members = value as Record<string, unknown>;
    return Object.fromEntries([...type.fields].map(([name, field]) => [name, decoded(field, members[name])]));
  }
  return value;
}

const withoutMark = (text: string): string => (text.startsWith("\uFEFF") ? text.slice(1) : text);

/** Every loaded row against its own line, read from the Parquet files as any program would. */
async function compareLoaded(
  harness: Harness,
  { contract, columns }: ContractProgram,
  lines: ReadonlyMap<number, string>,
): Promise<number> {
  const judge = validator(contract);
  const accepted = [...lines].filter(([, text]) => judge(JSON.parse(text)).length === 0);
  const ids = new Set(
    accepted.map(([, text]) => String((JSON.parse(text) as Record<string, unknown>)[contract.id])),
  );
  if (accepted.length === 0) return 0;
  const reader = await connection.runAndReadAll(
    `SELECT * FROM read_parquet('${harness.dataDir}/lake/clean/${contract.name}/*/*.parquet', hive_partitioning = false)`,
  );
  const rows = reader.getRowObjects();
  expect(rows).toHaveLength(ids.size);
  const types = new Map(
    columns.filter(({ name }) => !name.startsWith("_")).map(({ name, type }) => [name, columnType(type)]),
  );
  for (const row of rows) {
    const text = lines.get(Number(row["_line"])) ?? "";
    expect(Object.keys(row)).toEqual(columns.map(({ name }) => name));
    const tree = jsonTree(text);
    if (tree.kind !== "object") throw new Error(`unreachable: a record is an object: ${text}`);
    const where = `${text} of ${JSON.stringify(contract.schema)}`;
    const member = (name: string): DuckDBValue => row[name] ?? null;
    const found = [...types].map(([name, type]) => [name, plainValue(type, member(name))]);
    const expected = [...types].map(([name, type]) => [
      name,
      decoded(type, expectedValue(type, tree.members.get(name), where)),
    ]);
    expect(found, where).toEqual(expected);
    const unknown = unknownMembers(types, tree, types.has("type") ? undefined : "type");
    const extra = row["_extra"];
    expect(extra === null ? null : keptJson(jsonTree(extra as string)), where).toEqual(
      unknown === undefined ? null : keptJson(unknown),
    );
  }
  return rows.length;
}

/**
 * The tables as few contracts: each field of a contract has the schema of one table, and each record sets one field. One
 * field that SQL cannot judge sends every record of its contract to Ajv, so those are kept apart.
 */
function judgedTables(): Judged[] {
  const alone = caseTables.filter((table) => table.definitions !== undefined);
  const others = caseTables.filter((table) => table.definitions === undefined);
  const isExact = (table: CaseTable): boolean => programOf(caseContract(table)).model.exact;
  const groups = [others.filter(isExact), others.filter((table) => !isExact(table))].flatMap((tables) =>
    Array.from({ length: Math.ceil(tables.length / 25) }, (_, i) => tables.slice(i * 25, i * 25 + 25)),
  );
  const together = groups.map((tables, g) => ({
    contract: oneOf(tables, `group${g}`),
    texts: tables.flatMap((table, t) =>
      table.cases.map((item, i) => caseRecord(`${t}-${i}`, item).replace('"f":', `"f${t}":`)),
    ),
  }));
  const apart = alone.map((table) => ({
    contract: caseContract(table),
    texts: table.cases.map((item, i) => caseRecord(String(i), item)),
  }));
  return [...together, ...apart];
}

/** A contract with one optional field for each table. */
function oneOf(tables: readonly CaseTable[], name: string): Contract {
  const fields: object = {
    type: "object",
    required: ["id", "at"],
    properties: {
      id: { type: "string" },
      at: { type: "string", format: "date-time" },
      ...Object.fromEntries(tables.map((table, t) => [`f${t}`, table.schema])),
    },
  };
  return contract(name, { version: "1.0.0", owner: "tests", id: "id", time: "at", fields });
}

test("the case tables: judged as Ajv does, stored as written", async () => {
  const judged = judgedTables();
  expect(judged.flatMap(({ texts }) => texts).length).toBeGreaterThan(1000);
  await compareWithTypeScript(judged);
});

test("generated contracts and records", async () => {
  const one = contractArbitrary().chain((contract) =>
    fc.record({
      contract: fc.constant(contract),
      texts: fc.array(instanceArbitrary(contract.schema), { minLength: 20, maxLength: 30 }),
    }),
  );
  // Sampled, not asserted: fast-check would shrink, and print, what one engine run of a hundred contracts holds.
  const seed = Math.trunc(Math.random() * 2 ** 31);
  const samples = fc.sample(one, { numRuns: 60, seed });
  let [loaded, quarantined] = [0, 0];
  for (let at = 0; at < samples.length; at += 30) {
    const counts = await compareWithTypeScript(samples.slice(at, at + 30)).catch((error: unknown) => {
      throw new Error(`sample ${at} of seed ${seed}`, { cause: error });
    });
    loaded += counts.loaded;
    quarantined += counts.quarantined;
  }
  expect(loaded).toBeGreaterThan(100);
  expect(quarantined).toBeGreaterThan(100);
});

test.each<[string, (sql: string) => string]>([
  ["a verdict", (sql) => sql.replaceAll("9.007199254740991e+15", "1e+18")],
  ["a value", (sql) => sql.replaceAll(/AS TIMESTAMPTZ\)::TIMESTAMP/g, "AS TIMESTAMP)")],
  ["the unknown members", (sql) => sql.replace("AS _extra", ">> '$.none' AS _extra").replace(">>", "->")],
])("the comparison sees %s that is wrong", async (_, defect) => {
  const judged = {
    contract: caseContract({ name: "", schema: { type: "integer" }, cases: [] }),
    texts: [
      '{"id":"1","at":"2026-01-01T00:00:00+01:00","f":1,"more":2}',
      '{"id":"2","at":"2026-01-01T00:00:00Z","f":9007199254740993}',
    ],
  };
  await compareWithTypeScript([judged]);
  await expect(compareWithTypeScript([judged], defect)).rejects.toThrow();
});
