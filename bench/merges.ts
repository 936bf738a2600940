import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { compileProject, count, distinct, identity, person, rollup, sessions, sum } from "@weir/compile";
import type { Program, TableSpec } from "@weir/compile";
import { Type, contract, decimal, timestamp } from "@weir/contract";
import { Engine } from "@weir/engine";
import { directoryStore } from "@weir/log";
import { DuckDBInstance } from "@duckdb/node-api";
import { randomOf } from "./events.ts";

/** What is in the state, and what the batches' records are. */
export type MergeBench = "identity" | "persons" | "sessions";

export interface MergeBenchOptions {
  /** Ids of an identity table, or keys of a session table. */
  readonly rows: number;
  /** Records of a batch. */
  readonly batch: number;
  readonly batches: number;
}

export interface MergeBenchResult {
  readonly rows: number;
  readonly recordsABatch: number;
  /** The merge of all tables of a batch: the median of all batches but the first, which reads from disk. */
  readonly mergeMs: number;
  readonly slowestMergeMs: number;
  readonly commitMs: number;
  /** All that the engine does for a batch, of both cores, user and system. */
  readonly cpuMsABatch: number;
  readonly stateBytes: number;
  readonly peakMemoryBytes: number;
}

const Seen = contract("seen", {
  version: "1.0.0",
  owner: "bench",
  id: "id",
  time: "at",
  fields: Type.Object({
    id: Type.String(),
    at: timestamp(),
    device: Type.String(),
    user: Type.Optional(Type.String()),
    page: Type.String(),
    amount: decimal({ precision: 9, scale: 2 }),
  }),
});

const measures = { views: count(), spent: sum("amount"), pages: distinct("page") };
const byPerson = person("people", ["device", "user"]);
const people = identity({ ids: [[Seen, ["device", "user"]]] });
const tablesOf: Readonly<Record<MergeBench, Record<string, TableSpec>>> = {
  identity: { people },
  persons: {
    people,
    visits: sessions({ from: Seen, by: byPerson, gap: "30m", measures }),
    customers: rollup({ from: Seen, by: byPerson, measures }),
  },
  sessions: { visits: sessions({ from: Seen, by: "device", gap: "30m", measures }) },
};

/** Merges batches into tables that hold so much already. */
export async function benchMerges(
  below: string,
  kind: MergeBench,
  { rows, batch, batches }: MergeBenchOptions,
): Promise<MergeBenchResult> {
  const dir = mkdtempSync(join(below, "weir-bench-"));
  try {
    const program = compileProject({
      name: "merges",
      sources: { web: { contracts: [Seen] } },
      tables: tablesOf[kind],
    });
    const nowMs = Date.now();
    const empty = await Engine.open({ dataDir: dir, program, store: directoryStore(join(dir, "log")) });
    await empty.stop();
    const stateBytes = await fillState(dir, kind, rows, nowMs);
    const texts = Array.from({ length: batches }, (_, i) => batchTexts(kind, rows, batch, i, nowMs));
    return { rows, recordsABatch: batch, stateBytes, ...(await mergeAll(dir, program, texts, nowMs)) };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const daysMs = 90 * 86_400_000;
/** SQL and JavaScript of one id: 36 characters, in no order. */
const deviceSql = (n: string): string => `md5('d' || (${n}))::UUID::VARCHAR`;
function deviceOf(n: number): string {
  const hex = createHash("md5").update(`d${n}`).digest("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
const nodeSql = (kind: string, id: string): string => `sha256('${kind}' || chr(31) || ${id})[1:32]::UUID`;

/** Persons of two devices and a user each; three sessions a person, or one a device, spread over 90 days. */
async function fillState(dir: string, kind: MergeBench, rows: number, nowMs: number): Promise<number> {
  const instance = await DuckDBInstance.create(join(dir, "state", "weir.duckdb"));
  const sql = await instance.connect();
  const step = 1_000_000;
  const session = (start: string): string =>
    `${start} AS _start, ${start} + 60000000 AS _end, 3 AS _records, 3 AS views, 3.75 AS spent,
     ['/p' || i % 1000, '/q'] AS pages, 0 AS _commit`;
  const startUs = (nowMs - daysMs) * 1000;
  const everyUs = Math.trunc((daysMs * 1000) / rows);
  for (let from = 0; from < rows; from += step) {
    const range = `range(${from}, ${Math.min(from + step, rows)}) r(i)`;
    if (kind === "sessions") {
      await sql.run(`INSERT INTO weir.state.visits (device, _start, _end, _records, views, spent, pages, _commit)
        SELECT ${deviceSql("i")}, ${session(`${startUs} + i * ${everyUs}`)} FROM ${range}`);
      continue;
    }
    const persons = Math.trunc(rows / 3);
    const ofPersons = `range(${Math.trunc(from / 3)}, ${Math.min(Math.trunc((from + step) / 3), persons)}) r(i)`;
    await sql.run(`CREATE OR REPLACE TEMP TABLE part AS
      SELECT i, 'u' || i AS u, ${deviceSql("2 * i")} AS d0, ${deviceSql("2 * i + 1")} AS d1,
        ${nodeSql("user", "u")} AS n, ${nodeSql("device", "d0")} AS n0, ${nodeSql("device", "d1")} AS n1,
        least(n, n0, n1) AS person FROM ${ofPersons}`);
    for (const [name, id, node] of [
      ["user", "u", "n"],
      ["device", "d0", "n0"],
      ["device", "d1", "n1"],
    ]) {
      await sql.run(`INSERT INTO weir.state.people (id_kind, id, person, _node, _commit)
        SELECT '${name}', ${id}, person, ${node}, 0 FROM part`);
    }
    if (kind === "identity") continue;
    for (const k of [0, 1, 2]) {
      await sql.run(`INSERT INTO weir.state.visits (person, _start, _end, _records, views, spent, pages, _commit)
        SELECT person, ${session(`${startUs} + (${k * persons} + i) * ${everyUs}`)} FROM part`);
    }
    await sql.run(`INSERT INTO weir.state.customers (person, views, spent, pages, _commit) SELECT person, 9, 11.25, 2, 0 FROM part;
      INSERT INTO weir.state._customers__pages (person, _v) SELECT person, unnest(['/p' || i % 1000, '/q']) FROM part`);
  }
  await sql.run("CHECKPOINT weir");
  const size = await sql.runAndReadAll(
    "SELECT sum(total_blocks * block_size)::DOUBLE FROM pragma_database_size() WHERE database_name = 'weir'",
  );
  sql.closeSync();
  instance.closeSync();
  return Number(size.getRows()[0]?.[0]);
}

/**
 * Records of now, and two in a hundred of any time in 90 days. Sessions: seven in ten of a device that is known. Persons:
 * of a hundred, 60 of known ids of one person, 25 bring a new device, 13 a new person, and 2 join two persons.
 */
function batchTexts(kind: MergeBench, rows: number, size: number, number: number, nowMs: number): string[] {
  const random = randomOf(number + 1);
  const below = (n: number): number => Math.floor(random() * n);
  const persons = Math.trunc(rows / 3);
  return Array.from({ length: size }, (_, i) => {
    const atMs = nowMs - below(60_000) - (random() < 0.02 ? below(daysMs) : 0);
    const fresh = rows + number * size + i;
    const dice = random();
    const known = below(persons);
    const ofPerson = {
      device: deviceOf(dice < 0.6 ? 2 * known + below(2) : dice < 0.98 ? fresh : 2 * below(persons)),
      user: dice < 0.85 || dice >= 0.98 ? `u${known}` : `u${fresh}`,
    };
    const ofDevice = { device: deviceOf(dice < 0.7 ? below(rows) : fresh) };
    return JSON.stringify({
      id: `${number}-${i}`,
      at: new Date(atMs).toISOString(),
      ...(kind === "sessions" ? ofDevice : ofPerson),
      page: `/p${below(1000)}`,
      amount: "1.25",
    });
  });
}

async function mergeAll(
  dir: string,
  program: Program,
  batches: readonly (readonly string[])[],
  nowMs: number,
): Promise<
  Pick<MergeBenchResult, "mergeMs" | "slowestMergeMs" | "commitMs" | "cpuMsABatch" | "peakMemoryBytes">
> {
  const store = directoryStore(join(dir, "log"), { sealAfterMs: 3_600_000 });
  const timings: Readonly<Record<string, number>>[] = [];
  const engine = await Engine.open({
    dataDir: dir,
    program,
    store,
    onEvent: (event) => void (event.kind === "commit" && timings.push(event.timings)),
  });
  engine.start();
  let cpu = process.cpuUsage();
  const writer = await store.openWriter("web", "c0");
  for (const [i, texts] of batches.entries()) {
    const lines = texts.map((text) =>
      Buffer.from(`${nowMs * 1000}\tseen\t${fieldsOf(text)}\t0\t\t${text}\n`),
    );
    await writer.append(
      Buffer.concat(lines),
      Uint32Array.from(lines, ({ length }) => length),
    );
    await writer.seal();
    await engine.drain({ timeoutMs: 3_600_000 });
    if (i === 0) cpu = process.cpuUsage();
  }
  const { user, system } = process.cpuUsage(cpu);
  await writer.close();
  await engine.stop();
  const warm = timings
    .slice(1)
    .map((timing) => ({ merge: timing["tables"] ?? 0, commit: timing["commit"] ?? 0 }));
  const merges = warm.map(({ merge }) => merge).sort((a, b) => a - b);
  const commits = warm.map(({ commit }) => commit).sort((a, b) => a - b);
  return {
    mergeMs: merges[merges.length >> 1] ?? NaN,
    slowestMergeMs: merges.at(-1) ?? NaN,
    commitMs: commits[commits.length >> 1] ?? NaN,
    cpuMsABatch: (user + system) / 1000 / (batches.length - 1),
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
  };
}

const fieldsOf = (text: string): number => Object.keys(JSON.parse(text) as object).length;
