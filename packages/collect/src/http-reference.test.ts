/** The examples of docs/reference/http.md are what happens. */
import { readFileSync } from "node:fs";
import { Type, contract } from "@weir/contract";
import { expect, test } from "vitest";
import { startCollector } from "./collector.fixture.ts";
import { http } from "./source.ts";

const reference = readFileSync(new URL("../../../docs/reference/http.md", import.meta.url), "utf8");

const productViewed = contract("product_viewed", {
  version: "1.0.0",
  owner: "growth",
  id: "event_id",
  time: "occurred_at",
  fields: Type.Object({ event_id: Type.String(), occurred_at: Type.String({ format: "date-time" }) }),
});

/** The JSON blocks of a section, without the line breaks that only the page needs. */
function examples(section: string): string[] {
  const text = reference.split(/^## /m).find((one) => one.startsWith(section)) ?? "";
  return [...text.matchAll(/```json\n(.*?)\n```/gs)].map(([, block = ""]) => block.replaceAll(/\n */g, ""));
}

test.each([
  ["Segment", "/v1/track", "application/json"],
  ["CloudEvents", "/v1/cloudevents", "application/cloudevents+json"],
])("%s: the message becomes the record", async (section, path, contentType) => {
  const collector = await startCollector({ sources: { web: http({ contracts: [productViewed] }) } });
  const [message = "", record] = examples(section);
  await collector.post(path, message, { "content-type": contentType });
  expect(collector.logged()).toMatchObject([{ contract: "product_viewed", error: "", text: record }]);
});

test("the answer to a write", async () => {
  const collector = await startCollector();
  const { body } = await collector.post("/v1/events", '[{"a":1},{"b":tru},{}]', {
    "content-type": "application/json",
  });
  expect(body).toEqual(JSON.parse(examples("The answer to a write")[0]!));
});
