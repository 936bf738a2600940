/** Files that pyarrow, pandas, fastavro, DuckDB and Python write now are the committed ones. Skipped: needs python3 with these packages. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { Drop } from "./capture.fixture.ts";

const python = process.env["WEIR_TEST_PYTHON"] ?? "python3";
const imports = "import pyarrow, pandas, fastavro, duckdb, cramjam";
const isMissing = spawnSync(python, ["-c", imports]).status !== 0;
const fixtures = fileURLToPath(new URL("fixtures/", import.meta.url));

test.skipIf(isMissing)(
  "whatever version of them is installed, the rows are the same",
  { timeout: 120_000 },
  async () => {
    const made = mkdtempSync(join(tmpdir(), "weir-made-"));
    onTestFinished(() => rmSync(made, { recursive: true }));
    execFileSync(python, [join(fixtures, "make.py"), made]);
    const names = readdirSync(made).filter(
      (name) => !name.startsWith("pandas-excel") && !name.startsWith("python-windows"),
    );
    expect(names.length).toBeGreaterThan(10);
    const records = async (directory: string): Promise<unknown> => {
      const drop = new Drop({ path: directory, timezone: "UTC" });
      await drop.settle({ read: names.length }, { pattern: names });
      const texts = drop.journal.records.map(({ text, error }) => text ?? error ?? "");
      return texts.toSorted((a, b) => (a < b ? -1 : 1));
    };
    expect(await records(made)).toEqual(await records(fixtures));
  },
);
