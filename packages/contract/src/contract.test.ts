import { describe, expect, expectTypeOf, test } from "vitest";
import { Type, WeirError, contract, decimal, nullable, timestamp, validator } from "./index.ts";
import type { Infer } from "./index.ts";

const fields = Type.Object({
  event_id: Type.String(),
  anonymous_id: nullable(Type.String()),
  occurred_at: timestamp(),
  price: Type.Optional(decimal({ precision: 10, scale: 2, minimum: 0 })),
});

function problemsOf(define: () => unknown): string[] {
  try {
    define();
  } catch (error) {
    expect(error).toBeInstanceOf(WeirError);
    expect((error as WeirError).code).toBe("contract_invalid");
    return (error as WeirError).message.split("\n  ").slice(1);
  }
  throw new Error("The contract was accepted.");
}

describe("contract", () => {
  test("is frozen plain data with the type of its records", () => {
    const made = contract("product_viewed", {
      version: "1.0.0",
      owner: "growth",
      id: "event_id",
      key: "anonymous_id",
      time: "occurred_at",
      aliases: ["Product Viewed"],
      fields,
    });
    expectTypeOf<Infer<typeof made>>().toEqualTypeOf<{
      event_id: string;
      anonymous_id: string | null;
      occurred_at: string;
      price?: string | number;
    }>();
    expect(made).toMatchObject({
      name: "product_viewed",
      latenessMs: 86_400_000,
      aliases: ["Product Viewed"],
    });
    expect(structuredClone(made)).toEqual(made);
    expect(Object.isFrozen(made.schema.properties)).toBe(true);
    expect(
      validator(made)({ event_id: "1", anonymous_id: null, occurred_at: "2026-01-02T03:04:05Z" }),
    ).toEqual([]);
  });

  test("reports everything that is wrong at once", () => {
    const wrong: object = {
      type: "object",
      properties: { x: { type: "string", format: "nope", unknown: 1 } },
    };
    const lines = problemsOf(() =>
      contract("Bad Name", {
        version: "1",
        owner: " ",
        id: "missing",
        time: "x",
        aliases: ["", "a", "a"],
        lateness: "-1h",
        fields: wrong,
      }),
    );
    for (const place of [
      "name:",
      "version:",
      "owner:",
      "aliases:",
      "lateness:",
      "fields/properties/x:",
      "fields/properties/x/format:",
    ]) {
      expect(lines.some((line) => line.startsWith(place))).toBe(true);
    }
  });
});
