import { captureContract } from "@weir/testkit";
import { describe, test } from "vitest";
import { startOrganisation } from "./organisation.fixture.ts";

describe("Salesforce over the Bulk API", () => {
  // The rows of a job's results that are handed over at once.
  const options = { mostWaiting: 2000, fill: 6000, spoils: false };
  for (const { title, run } of captureContract(() => startOrganisation("bulk"), options)) test(title, run);
});
