import { expect, test } from "vitest";
import { parseOptions } from "./options.ts";

test("options", () => {
  expect(parseOptions([])).toEqual({
    forMs: undefined,
    rate: 1200,
    port: 0,
    keep: false,
    store: true,
    dataDir: undefined,
    seed: 1,
  });
  expect(parseOptions(["--for", "2m", "--rate", "10", "--keep", "--port", "9000"])).toMatchObject({
    forMs: 120_000,
    rate: 10,
    keep: true,
    port: 9000,
  });
  expect(parseOptions(["--no-store"])).toMatchObject({ store: false });
  expect(parseOptions(["--help"])).toBe("");
});

test.each([
  [["--for", "soon"], "--for soon is no time"],
  [["--rate", "0"], "--rate must be"],
  [["--port", "70000"], "--port must be"],
  [["--seed", "-1"], "argument is ambiguous"],
  [["--fast"], "Unknown option '--fast'"],
])("%j is refused", (args, message) => {
  expect(parseOptions(args)).toContain(message);
});
