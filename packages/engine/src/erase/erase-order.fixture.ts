/** Erases a person at some point among records that come in some order, and tells where tables differ from the oracle's without them. */
import { createHash } from "node:crypto";
import type { IdentitySpec, Program } from "@weir/compile";
import { Persons, outcomeOf } from "@weir/testkit";
import type { CleanRecord, Received } from "@weir/testkit";
import * as fc from "fast-check";
import { expect } from "vitest";
import { Harness } from "../harness.fixture.ts";
import { rowTexts, tableTexts, withoutSessionIds } from "../order-free/compare.fixture.ts";
import { people, peopleProject } from "../order-free/people-project.fixture.ts";
import { peopleRecords } from "../order-free/people-records.fixture.ts";
import { arrangementOf, arrangementSeed } from "../order-free/records.fixture.ts";

/** An id of the identity table's kinds. */
interface Id {
  readonly kind: string;
  readonly id: string;
}

export interface ErasedCase {
  readonly records: readonly Received[];
  readonly arrangement: number;
  readonly who: Id;
  /** After which share of the steps. */
  readonly at: number;
}

/** Records of one content have one id: of two persons' records with one id only one is loaded, whoever is erased. */
function withOwnId(record: Received): Received {
  if (!("text" in record)) return record;
  const { id: _, ...content } = JSON.parse(record.text) as Record<string, unknown>;
  const id = createHash("md5")
    .update(`${record.sent}${JSON.stringify(content)}`)
    .digest("hex");
  return { ...record, text: JSON.stringify({ id, ...content }) };
}

const ids: fc.Arbitrary<Id> = fc.oneof(
  fc.record({ kind: fc.constant("user_id"), id: fc.integer({ min: 1, max: 9 }).map(String) }),
  fc.record({ kind: fc.constant("email"), id: fc.nat(4).map((n) => `e${n}`) }),
  fc.record({ kind: fc.constant("device"), id: fc.nat(3).map((n) => `d${n}`) }),
);

export const erasedCases: fc.Arbitrary<ErasedCase> = fc.record({
  records: peopleRecords.map((records) => records.map(withOwnId)),
  arrangement: arrangementSeed,
  who: ids,
  at: fc.constantFrom(0, 0.3, 0.5, 0.7, 1),
});

const spec: IdentitySpec = people;
const cleanOf = (records: readonly Received[]): CleanRecord[] =>
  [...outcomeOf(peopleProject.sources, records).candidates.values()].flatMap(([one]) => one ?? []);

const keyOf = ({ kind, id }: Id): string => `${kind}\n${id}`;

/** All ids of the person that an id is of, by the records. */
function closureOf(records: readonly Received[], who: Id): Set<string> {
  const rows = new Persons(spec, cleanOf(records)).rows();
  const person = rows.find((row) => row.id_kind === who.kind && row.id === who.id)?.person;
  const own = rows.filter((row) => row.person === person);
  return new Set([keyOf(who), ...own.map((row) => keyOf({ kind: row.id_kind, id: row.id }))]);
}

function isOf(closure: ReadonlySet<string>, { contract: { name }, value }: CleanRecord): boolean {
  const fields = spec.links.filter(({ contract }) => contract.name === name).flatMap((link) => link.ids);
  return fields.some(({ kind, path }) => {
    let at: unknown = value;
    for (const member of path.split(".")) at = (at as Record<string, unknown> | null | undefined)?.[member];
    return (typeof at === "string" || typeof at === "number") && closure.has(keyOf({ kind, id: String(at) }));
  });
}

/** @param defect what is wrong with the program */
export async function runErased(
  { records, arrangement: seed, who, at }: ErasedCase,
  defect: (program: Program) => Program = (program) => program,
): Promise<void> {
  const { order, steps, lanes, batchBytes, recentIds } = arrangementOf(seed);
  const program = defect(peopleProject.program());
  const waiting = records
    .map((record, i) => ({ record, at: order[i % order.length] ?? 0 }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ record }) => record);
  const harness = new Harness({
    settings: { lanes, batchBytes },
    internals: { recentIds, upkeepEveryMs: 20 },
  });
  const appended: Received[] = [];
  let closure: ReadonlySet<string> = new Set();
  let isErased = false;
  const erase = async (): Promise<void> => {
    await harness.load([]);
    closure = closureOf(appended, who);
    const request = { identifiers: [{ kind: who.kind, value: who.id }], allowMany: "a test" };
    await harness.engine.erasures.erase(request);
    isErased = true;
    await harness.open(program);
    harness.engine.start();
  };
  try {
    await harness.open(program);
    harness.engine.start();
    for (const [i, { records: size, writer, next }] of steps.entries()) {
      if (!isErased && i >= at * steps.length) await erase();
      const some = waiting.splice(0, size);
      appended.push(...some);
      await harness.append(some, writer);
      if (next !== "go on") await harness.seal();
      if (next === "drain") await harness.drain();
      if (next.startsWith("restart")) {
        await harness.open(program);
        harness.engine.start();
      }
    }
    appended.push(...waiting);
    await harness.load(waiting);
    if (!isErased) await erase();
    // All of it once more, by another client.
    await harness.load(records, "w2");
    const kept = cleanOf(records).filter((record) => !isOf(closure, record));
    const expected = Object.entries(peopleProject.expected(kept)).map(([name, rows]) => [
      name,
      rowTexts(rows),
    ]);
    const found: [string, string[]][] = [];
    for (const [name] of expected)
      found.push([name as string, withoutSessionIds(await tableTexts(harness, name as string))]);
    expect(Object.fromEntries(found)).toEqual(Object.fromEntries(expected));
    expect((await harness.engine.verify()).checks.filter(({ ok }) => !ok)).toEqual([]);
  } finally {
    await harness.end();
  }
}
