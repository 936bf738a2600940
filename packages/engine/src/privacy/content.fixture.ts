/** For tests: records that were loaded before there was a vault, and come again after. */
import { compileProject, count, rollup } from "@weir/compile";
import type { Program } from "@weir/compile";
import { Type, contract, timestamp } from "@weir/contract";
import type { Harness, LogRecord } from "../harness.fixture.ts";

/** @param detect with it there is a vault */
export function project(detect: boolean): Program {
  const sold = contract("sold", {
    version: "1.0.0",
    owner: "tests",
    id: "id",
    time: "at",
    fields: Type.Object({ id: Type.String(), at: timestamp(), amount: Type.Integer() }),
  });
  return compileProject({
    name: "p",
    sources: { web: { contracts: [sold] } },
    tables: { total: rollup({ from: sold, by: "id", measures: { n: count() } }) },
    privacy: { detect },
  });
}

export const received = Math.floor(Date.now() / 3_600_000) * 3_600_000 - 3_600_000;
export const sale = (n: number, amount: number, minute = 1): LogRecord => ({
  source: "web",
  sent: "sold",
  receivedUs: received * 1000,
  text: JSON.stringify({ id: `s${n}`, at: new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString(), amount }),
});
export const numbers = Array.from({ length: 24 }, (_, n) => n);

export const outcomes = (harness: Harness): Promise<unknown[][]> =>
  harness.rows(
    "SELECT received::INTEGER, loaded::INTEGER, duplicate::INTEGER FROM weir.counts WHERE contract = 'sold'",
  );
