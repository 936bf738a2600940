import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { drawFrame } from "./screen.ts";
import type { Frame } from "./screen.ts";
import { fit, paintFor, width } from "./text.ts";

const many = <T>(row: T): T[] => Array.from({ length: 8 }, () => row);

const frame: Frame = {
  url: "http://127.0.0.1:8787",
  elapsedMs: 65_000,
  forMs: undefined,
  transactions: 321,
  clients: { shopTime: Date.UTC(2026, 0, 15, 8, 14), acknowledged: 120, pending: 3 },
  perSecond: 1_234.5,
  lagMs: 1_700,
  problem: undefined,
  dataDir: "examples/pulsecart/.weir-demo",
  view: {
    status: {
      commit: 7,
      lag: { records: 0, oldestMs: 0 },
      recordsPerSecond: 0,
      tables: [],
      instance: {
        processes: [
          { name: "engine", role: "engine", state: "ready" },
          {
            name: "capture-store",
            role: "capture",
            state: "ready",
            status: { tables: 5, tablesToRead: 2, rowsRead: 8_000, changes: 12, lagBytes: 4096 },
          },
          {
            name: "capture-stripe",
            role: "capture",
            state: "ready",
            status: { events: 40, listed: 1100, lagSeconds: 1 },
          },
          { name: "capture-settlements", role: "capture", state: "waiting", lastError: { code: "log_full" } },
        ],
      },
      counts: [
        {
          source: "web",
          contract: "product_viewed",
          received: 90,
          loaded: 80,
          duplicate: 7,
          quarantined: 3,
          suppressed: 0,
        },
        {
          source: "web",
          contract: "(unknown)",
          received: 10,
          loaded: 0,
          duplicate: 0,
          quarantined: 10,
          suppressed: 0,
        },
      ],
    },
    visits: many(["anon_1", "web", "2026-01-15 08:00:00", "2026-01-15 08:04:30", "9", "4", "19.90"]),
    revenue: many(["2026-01-15 08:00:00", "12", "1234.50", null, "3.00"]),
    stock: many(["SHO-100", "AMS", "-2", "31"]),
    orders: many(["1712", "shipped", "gold", "3", "1234.50", "1234.50", null]),
    quarantine: many(["invalid_json", "4", "stock_moved", "it ends\u001b[2J", "eyJhIjox"]),
  },
};

describe("the screen", () => {
  test("says where every record is", () => {
    const text = drawFrame(frame, { columns: 150, rows: 50 }, paintFor(false)).join("\n");
    expect(text).toContain("120 received = 80 loaded + 7 duplicate + 13 quarantined + 20 in flight");
    expect(text).toContain("1,235 records/s   lag 1.7 s   commit 7");
    expect(text).toContain("shop clock 08:14");
    expect(text).toMatch(/anon_1 +web +08:00 +4.5 +9 +4 +19.90/);
    expect(text).toMatch(/08:00 +12 +1,234.50 +0.00 +3.00 +▇/);
    expect(text).toContain("store 321 transactions");
    expect(text).toMatch(/store +8,000 rows, 12 changes, 2 of 5 tables to read; 4,096 B behind/);
    expect(text).toMatch(/stripe +1,100 listed, 40 events; 1 s behind/);
    expect(text).toMatch(/settlements +waiting, log_full/);
    expect(text).toMatch(/1712 +shipped +gold +3 +1,234.50 +1,234.50 +0.00/);
    expect(text).toMatch(/invalid_json +4 +stock_moved: it ends·\[2J \{"a":1/);
  });

  test("fits terminals of every size, and no record draws on it", () => {
    const size = fc.record({
      columns: fc.integer({ min: 20, max: 250 }),
      rows: fc.integer({ min: 8, max: 80 }),
    });
    fc.assert(
      fc.property(size, fc.boolean(), ({ columns, rows }, coloured) => {
        const lines = drawFrame(frame, { columns, rows }, paintFor(coloured));
        expect(lines.length).toBeLessThanOrEqual(rows);
        expect(Math.max(...lines.map(width))).toBeLessThanOrEqual(columns);
        // oxlint-disable-next-line no-control-regex -- what must not come out, but for colours
        expect(lines.join("").replaceAll(/\u001b\[\d+m/g, "")).not.toMatch(/[\u0000-\u001f]/);
      }),
    );
  });

  test("shows as many rows as there is room for", () => {
    const rowsAt = (rows: number): number =>
      drawFrame(frame, { columns: 100, rows }, paintFor(false)).filter((line) => line.startsWith("1712"))
        .length;
    expect([rowsAt(24), rowsAt(40), rowsAt(80)]).toEqual([1, 3, 8]);
  });
});

test("text is cut to its columns, colours apart", () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 1, max: 40 }), (text, columns) => {
      const paint = paintFor(true);
      const coloured = `${paint.green(text)}${paint.bold(text)}`;
      expect(width(fit(coloured, columns))).toBe(columns);
    }),
  );
});
