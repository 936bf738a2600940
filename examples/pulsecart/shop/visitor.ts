import { countries } from "./catalogue.ts";
import type { Country } from "./catalogue.ts";
import type { World } from "./world.ts";

export interface Visitor {
  readonly channel: "web" | "mobile";
  readonly anonymousId: string;
  readonly userId: string | null;
  readonly country: Country;
  readonly experiments: Readonly<Record<string, string>>;
}

export function newVisitor(world: World): Visitor {
  const { random } = world;
  return {
    channel: random.chance(0.6) ? "web" : "mobile",
    anonymousId: world.id("anon"),
    userId: random.chance(0.4) ? world.id("user") : null,
    country: random.pick(countries),
    experiments: {
      checkout: random.pick(["one_page", "three_steps"]),
      ...(random.chance(0.5) ? { recommendations: random.pick(["on", "off"]) } : {}),
    },
  };
}
