import { captureContract } from "@weir/testkit";
import { describe, test } from "vitest";
import { startOrganisation } from "./organisation.fixture.ts";

describe("Salesforce over the REST API", () => {
  // A page of the REST API.
  const options = { mostWaiting: 2000, fill: 6000, spoils: false };
  for (const { title, run } of captureContract(() => startOrganisation("rest"), options)) test(title, run);
});
