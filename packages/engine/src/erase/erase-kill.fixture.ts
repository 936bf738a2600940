/** Kills a process that erases Jane. */
import { TestChild, bundled } from "@weir/testkit";
import { expect } from "vitest";

/** @param project `shop` or `private`, of the fixtures of these names */
export async function dieAt(dataDir: string, project: "shop" | "private", failpoint: string): Promise<void> {
  const source = await bundled(new URL("erase-child.fixture.ts", import.meta.url));
  const child = TestChild.start(source, { args: [dataDir, project], env: { WEIR_FAILPOINT: failpoint } });
  expect(await child.ending(180_000), failpoint).toMatchObject({ signal: "SIGKILL" });
}
