import { test } from "vitest";
import { checkKeptTexts } from "./kept-text.fixture.ts";

test("what is kept of a text has no value and every token, and the text is restored to the byte", async () => {
  await checkKeptTexts(300);
});
