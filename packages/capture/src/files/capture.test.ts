import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { type Json, Type, contract, timestamp } from "@weir/contract";
import { captureContract, until } from "@weir/testkit";
import { describe, expect, test } from "vitest";
import { Drop, payment } from "./capture.fixture.ts";
import { files } from "./declare.ts";

const header = "id,seen_at,amount\n";
const row = (id: string, amount = "1.00"): string => `${id},2026-01-02T03:04:05Z,${amount}\n`;
const fixture = (name: string): Buffer => readFileSync(new URL(`fixtures/${name}`, import.meta.url));
const byText = (a: unknown, b: unknown): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
const unused = (): Promise<never> => Promise.reject(new Error("files make records"));
const ids = (drop: Drop): unknown[] => drop.values.map(({ id }) => id);

test("a file is read once: not again after a restart, nor when only its time changes", async () => {
  const drop = new Drop();
  drop.put("a.csv", header + row("1") + row("2"));
  await drop.settle({ read: 1 });
  await drop.settle({ read: 1 });
  utimesSync(join(drop.root, "a.csv"), new Date(), new Date(2026, 0, 1));
  await drop.settle({ read: 1 });
  await until(() => expect(drop.journal.said("the same file was read before")).toBe(true));
  expect(ids(drop)).toEqual(["1", "2"]);
  expect(drop.journal.records[1]!.value).toEqual({
    id: "2",
    seen_at: "2026-01-02T03:04:05Z",
    amount: "1.00",
    source_file: "a.csv",
    source_row: 3,
  });
});

test("a file that is replaced by another is a new one, and the log says so", async () => {
  const drop = new Drop({ once: "content" });
  drop.put("a.csv", header + row("1"));
  await drop.settle({ read: 1 });
  drop.put("a.csv", header + row("2"));
  const run = drop.start();
  await until(() => expect(ids(drop)).toEqual(["1", "2"]), { run });
  await until(() => expect(drop.journal.said("a.csv: replaced by another file")).toBe(true), { run });
  await run.stop();
});

test("the same bytes under another name: read again by path, not by content", async () => {
  for (const [once, expected] of [
    ["path", ["1", "1"]],
    ["content", ["1"]],
  ] as const) {
    const drop = new Drop({ once, id: "position", columns: { id: "none" } });
    drop.put("a.csv", "seen_at,amount\n2026-01-02T03:04:05Z,1\n");
    drop.put("b.csv", "seen_at,amount\n2026-01-02T03:04:05Z,1\n");
    await drop.settle({ read: 2 });
    expect(drop.values.map(() => "1")).toEqual(expected);
    expect(new Set(ids(drop)).size).toBe(expected.length);
    for (const id of ids(drop)) expect(id).toMatch(/^[0-9a-f]{32}-2$/);
  }
});

test("what is being written is not read: hidden and temporary names, and files that still change", async () => {
  const drop = new Drop({ stable: 200 });
  for (const name of [".a.csv", "b.csv.tmp", "c.csv.part", "d.csv.partial", "e.csv~", "f.txt"]) {
    writeFileSync(join(drop.root, name), header + row(name));
  }
  mkdirSync(join(drop.root, "dir.csv"));
  symlinkSync("/nowhere", join(drop.root, "link.csv"));
  writeFileSync(join(drop.root, "g.csv"), header);
  const run = drop.start();
  for (let i = 0; i < 8; i++) {
    const seen = drop.journal.status;
    appendFileSync(join(drop.root, "g.csv"), row(String(i)));
    await until(() => expect(drop.journal.status).not.toBe(seen), { run });
    expect(drop.values).toEqual([]);
  }
  await until(() => expect(ids(drop)).toEqual(["0", "1", "2", "3", "4", "5", "6", "7"]), { run });
  await run.stop();
  expect(drop.journal.status["filesRead"]).toBe(1);
});

test("a file with a mark of its own is read when the mark is there", async () => {
  const drop = new Drop({ ready: ".done", stable: "1h", after: "delete" });
  drop.put("a.csv", header + row("1"));
  drop.put("b.csv", header + row("2"));
  drop.put("b.csv.done", "");
  const run = drop.start();
  await until(() => expect(readdirSync(drop.root)).toEqual(["a.csv"]), { run });
  drop.put("a.csv.done", "");
  await until(() => expect(readdirSync(drop.root)).toEqual([]), { run });
  await run.stop();
  expect(ids(drop)).toEqual(["2", "1"]);
});

test("files that were read are moved, never over others", async () => {
  const drop = new Drop({ after: { move: "done" }, pattern: "**/*.csv" });
  drop.put("in/a.csv", header + row("1"));
  drop.put("done/in/a.csv", "of old");
  const run = drop.start();
  await until(() => expect(readdirSync(join(drop.root, "in"))).toEqual([]), { run });
  drop.put("in/a.csv", header + row("2"));
  await until(() => expect(readdirSync(join(drop.root, "done/in"))).toHaveLength(3), { run });
  await run.stop();
  expect(ids(drop)).toEqual(["1", "2"]);
});

test("bad rows go to quarantine with file, line and bytes, and cost themselves alone", async () => {
  const drop = new Drop({ rowBytes: 200 });
  drop.put("a.csv", `${header}${row("1")}2,x\n"3,4\n${row("5")}${"6".repeat(300)},,\n\xff,,\n`);
  drop.put(
    "b.ndjson",
    `{"id":"7","seen_at":"t"}\n{"id":\n\n{"id":"8","id":"9"}\n${JSON.stringify({ id: "1".repeat(300) })}\n[1]`,
  );
  drop.put("c.json", '[{"id":"10"}, {"id":tru}, {"id": "11"},, 5]');
  await drop.settle({ read: 3 });
  expect(ids(drop)).toEqual(["1", "5", "ÿ", "7", "10", "11"]);
  expect(
    drop.quarantined.map(([code, detail, bytes]) => [code, detail.replace(/: .*/, ""), bytes.slice(0, 40)]),
  ).toEqual([
    ["invalid_row", "a.csv, line 3", "2,x"],
    ["invalid_row", "a.csv, line 4", '"3,4'],
    ["too_large", "a.csv, line 6", "6".repeat(40)],
    ["invalid_json", "b.ndjson, line 2", '{"id":'],
    ["duplicate_key", "b.ndjson, line 4", '{"id":"8","id":"9"}'],
    ["too_large", "b.ndjson, line 5", `{"id":"${"1".repeat(33)}`],
    ["not_an_object", "b.ndjson, line 6", "[1]"],
    ["invalid_json", "c.json, row 2", '{"id":tru}'],
    ["invalid_json", "c.json, row 4", ""],
    ["not_an_object", "c.json, row 5", "5"],
  ]);
});

test.each<[name: string, bytes: () => Buffer | string, says: string]>([
  ["cut.csv.gz", () => gzipSync(header + row("1").repeat(1000)).subarray(0, -9), "It is no complete gzip"],
  [
    "flipped.ndjson.gz",
    () => {
      const bytes = gzipSync('{"id":"1"}\n'.repeat(1000));
      bytes[bytes.length - 6]! ^= 1;
      return bytes;
    },
    "It is no complete gzip",
  ],
  ["text.csv.gz", () => header + row("1"), "It is no complete gzip"],
  ["no.parquet", () => "PAR1 and nothing", "It is no readable Parquet file"],
  ["empty.parquet", () => "", "It is no readable Parquet file"],
  ["zip.parquet.gz", () => gzipSync("PAR1"), "not read through gzip"],
  ["no.avro", () => "Obj", "It is no Avro"],
  ["cut.json", () => '[{"id":"1"},{"id":"2"}', "The array is not closed"],
  ["behind.json", () => '[{"id":"1"}] {"id":"2"}', "There is something behind the array"],
  ["twice.csv", () => "id,id\n1,2\n", 'names the column "id" twice'],
  ["quote.csv", () => '"id\n1,2\n', "Its header, line 1, cannot be read"],
])(
  "%s is damaged: no row of it is taken, others are read, and it is read once it is whole",
  async (name, bytes, says) => {
    const drop = new Drop();
    drop.put(name, bytes());
    drop.put("good.csv", header + row("good"));
    const run = drop.start();
    await until(() => expect(drop.journal.status).toMatchObject({ filesRead: 1, filesDamaged: 1 }), {
      run,
    });
    expect(drop.journal.said(says)).toBe(true);
    expect(drop.journal.status["problem"]).toContain(`file_damaged: ${name}: `);
    expect(drop.journal.records.map(({ value }) => value?.["id"])).toEqual(["good"]);
    await run.stop();
    await drop.settle({ read: 1, damaged: 1 });
    expect(drop.journal.status["problem"]).toBe(`file_damaged: ${name}`);
    expect(drop.journal.messages.filter(({ level }) => level === "error")).toHaveLength(1);
    // Dropped again, whole.
    rmSync(join(drop.root, name));
    drop.put(name.replace(/\..*/, ".csv"), header + row("mended"));
    await drop.settle({ read: 2 });
    expect(drop.journal.status["problem"]).toBe(null);
    expect(ids(drop)).toEqual(["good", "mended"]);
  },
);

test.each(["pyarrow-v2-zstd.parquet", "duckdb.parquet", "fastavro-deflate.avro", "fastavro-snappy.avro"])(
  "%s, cut short anywhere: damaged, and no row is taken",
  async (name) => {
    const drop = new Drop({ pattern: "*" });
    const bytes = fixture(name);
    for (let i = 1; i <= 20; i++)
      drop.put(`${i}-${name}`, bytes.subarray(0, Math.floor((bytes.length * i) / 21)));
    await drop.settle({ damaged: 20 });
    expect(drop.journal.records).toEqual([]);
  },
);

test("a file that changes while it is read is read again, and says so", async () => {
  const drop = new Drop({ stable: 50 });
  const lines = Array.from({ length: 60_000 }, (_, i) => row(`${i}`)).join("");
  drop.put("a.csv", header + lines);
  drop.journal.hold();
  const run = drop.start();
  await until(() => expect(run.waiting.records).toBeGreaterThan(0), { run });
  appendFileSync(join(drop.root, "a.csv"), row("last"));
  drop.journal.release();
  await until(() => expect(drop.journal.said("It changed while it was read")).toBe(true), { run });
  await until(() => expect(ids(drop)).toContain("last"), { run });
  await run.stop();
  expect(new Set(ids(drop)).size).toBe(60_001);
});

test("contracts by pattern, columns by name, and a contract that allows no others", async () => {
  const refund = contract("refund", {
    version: "1.0.0",
    owner: "finance",
    id: "ref",
    time: "at",
    fields: Type.Object(
      { ref: Type.String(), at: timestamp(), total: Type.Number() },
      { additionalProperties: false },
    ),
  });
  const drop = new Drop({
    contract: { "refunds/*.csv": refund, "**/*.{csv,ndjson}": payment },
    columns: { ref: "Refund No.", total: "Total (EUR)" },
    timezone: "Europe/Berlin",
    csv: { decimal: "," },
  });
  drop.put("refunds/a.csv", 'Refund No.,at,Total (EUR)\nR1,2026-07-01 12:00,"1.234,50"\n');
  drop.put("x/y/b.csv", header + row("1"));
  drop.put("c.ndjson", '{"Refund No.":"R2","id":"2"}');
  await drop.settle({ read: 3 });
  expect(drop.journal.records.map(({ contract: name, value }) => [name, value]).sort(byText)).toEqual([
    [
      "payment",
      { id: "1", seen_at: "2026-01-02T03:04:05Z", amount: "1.00", source_file: "x/y/b.csv", source_row: 2 },
    ],
    ["payment", { ref: "R2", id: "2", source_file: "c.ndjson", source_row: 1 }],
    ["refund", { ref: "R1", at: "2026-07-01T12:00:00+02:00", total: 1234.5 }],
  ]);
});

describe("a file that was begun is gone on with, from the saved position, with nothing twice", () => {
  const many = Array.from({ length: 30_000 }, (_, i) => `${i}`);
  const seen = "2026-01-02T03:04:05Z";
  const contents: Record<string, () => string | Buffer> = {
    "a.csv": () => header + many.map((id) => row(id)).join(""),
    "b.csv.gz": () => gzipSync(header + many.map((id) => `${id},${seen},"1\n"\n`).join("")),
    "utf16.csv": () => Buffer.from(`\ufeff${header}${many.map((id) => row(id)).join("")}`, "utf16le"),
    "c.ndjson": () => many.map((id) => `{"id":"${id}"}`).join("\n"),
    "d.ndjson.gz": () => gzipSync(many.map((id) => `{"id":"${id}"}`).join("\n")),
    "e.json": () => `[${many.map((id) => `{"id":"${id}"}`).join(",\n")}]`,
    "f.json": () => many.map((id) => `{"id":"${id}"}`).join(""),
    "pyarrow-v2-zstd.parquet": () => fixture("pyarrow-v2-zstd.parquet"),
    "fastavro-snappy.avro": () => fixture("fastavro-snappy.avro"),
  };

  test.each(Object.entries(contents))("%s", async (name, content) => {
    const drop = new Drop(name === "utf16.csv" ? { csv: { encoding: "utf-16le" } } : {});
    drop.put(name, content());
    const records: unknown[] = [];
    const rows: unknown[] = [];
    let cursor: Json | undefined;
    // Every run is stopped behind its first append.
    let first = 0;
    for (let runs = 0; runs < 100 && !JSON.stringify(cursor ?? null).includes('"progress":null'); runs++) {
      const abort = new AbortController();
      await drop.capture().run({
        source: "drop",
        signal: abort.signal,
        cursor,
        append: async (batch) => {
          for (const one of batch) {
            const value = JSON.parse("text" in one ? one.text : "{}") as Record<string, unknown>;
            records.push(value["id"]);
            rows.push(value["source_row"]);
          }
          abort.abort();
        },
        appendLines: unused,
        saveCursor: async (saved) => {
          cursor = structuredClone(saved);
          if (JSON.stringify(saved).includes('"progress":null')) abort.abort();
        },
        report: () => {},
        log: () => {},
      });
      if (runs === 0) first = records.length;
    }
    const whole = new Drop(drop.options);
    whole.put(name, content());
    await whole.settle({ read: 1 });
    expect(records).toEqual(ids(whole));
    expect(rows).toEqual(whole.journal.records.map(({ value }) => value!["source_row"]));
    expect([4, many.length]).toContain(records.length);
    expect(first).toBeLessThan(records.length);
  });
});

test("many small files: what was read is saved now and then, not after each", async () => {
  const drop = new Drop();
  for (let i = 0; i < 300; i++) drop.put(`${i}.csv`, header + row(`${i}`));
  const abort = new AbortController();
  const read = new Set<string>();
  let saves = 0;
  await drop.capture().run({
    source: "drop",
    signal: abort.signal,
    cursor: undefined,
    append: async (records) => {
      for (const record of records) if ("text" in record) read.add(record.text);
    },
    appendLines: unused,
    saveCursor: async () => {
      saves++;
      // As slow as a disk.
      for (const startMs = performance.now(); performance.now() < startMs + 2;);
    },
    report: ({ filesReady: ready, filesRead: done }) => {
      if (ready === 0 && done === 300) abort.abort();
    },
    log: () => {},
  });
  expect(read.size).toBe(300);
  expect(saves).toBeLessThan(150);
});

test("check finds what is wrong with the directory", async () => {
  const drop = new Drop();
  expect(await drop.capture({ after: "delete" }).check()).toEqual([]);
  const missing = drop.capture({ path: join(drop.root, "none") });
  expect(await missing.check()).toMatchObject([{ severity: "error", code: "files_directory_unreadable" }]);
  await expect(drop.start({ path: join(drop.root, "none") }).ended).rejects.toMatchObject({
    code: "files_directory_unreadable",
  });
  expect(existsSync(join(drop.root, "none"))).toBe(false);
});

test.each<[Partial<Parameters<typeof files>[0]>, RegExp]>([
  [{ path: "" }, /path/],
  [{ contract: {} }, /needs a contract/],
  [{ contract: { "*": payment }, pattern: "*" }, /no other pattern/],
  [{ columns: { none: "x" } }, /"none"/],
  [{ columns: { id: "x", amount: "x" } }, /two fields/],
  [{ csv: { delimiter: ";;" } }, /delimiter/],
  [{ csv: { delimiter: '"' } }, /differ/],
  [{ csv: { encoding: "klingon" } }, /klingon/],
  [{ csv: { header: ["a", "a"] } }, /once/],
  [{ timezone: "Mars/Olympus" }, /Mars/],
  [{ rowBytes: 0 }, /rowBytes/],
])("a declaration that cannot work: %j", (options, says) => {
  expect(() => files({ path: "/drops", contract: payment, ...options })).toThrow(
    expect.objectContaining({ code: "invalid_source", message: expect.stringMatching(says) as string }),
  );
});

describe("the contract of every source", () => {
  const start = async () => {
    const drop = new Drop({ every: 10 });
    const expected = new Set<string>();
    let next = 0;
    const put = (content: (ids: string[]) => string | Buffer, name: string, count: number): void => {
      const own = Array.from({ length: count }, () => `${++next}`);
      drop.put(`${next}-${name}`, content(own));
      for (const id of own) expected.add(id);
    };
    const csv = (own: string[]): string => header + own.map((id) => row(id)).join("");
    const change = async (): Promise<void> => {
      put(csv, "a.csv", 7);
      put((own) => gzipSync(csv(own)), "b.csv.gz", 5);
      put((own) => own.map((id) => `{"id":"${id}"}\n`).join(""), "c.ndjson", 5);
      put((own) => JSON.stringify(own.map((id) => ({ id }))), "d.json", 3);
    };
    await change();
    return {
      source: "drop",
      capture: () => drop.capture(),
      change,
      fill: async (records: number) => put(csv, "large.csv", records),
      verify: (records: readonly { value: Record<string, unknown> | undefined }[]) => {
        const got = new Set(records.flatMap(({ value }) => (value === undefined ? [] : [value["id"]])));
        expect(got).toEqual(expected);
      },
      spoil: async () => drop.put("bad.csv", `${header}1,2,3,4,5\n`),
      close: async () => {},
    };
  };
  for (const { title, run } of captureContract(start, { mostWaiting: 50_000, disturbs: false }))
    test(title, run);
});
