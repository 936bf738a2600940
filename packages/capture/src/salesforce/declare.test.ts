import { expect, test } from "vitest";
import { type SalesforceOptions, salesforce } from "./declare.ts";

const right: SalesforceOptions = {
  loginUrl: "https://acme.my.salesforce.com/",
  auth: { clientId: "app", clientSecret: "hush" },
  objects: ["Account", "Order__c", "ns__Thing__c"],
};

test("defaults", () => {
  const source = salesforce(right);
  expect(source).toMatchObject({
    kind: "salesforce",
    loginUrl: "https://acme.my.salesforce.com",
    apiVersion: "62.0",
    everyMs: 300_000,
    settleMs: 300_000,
    quotaShare: 0.5,
    mode: "auto",
    bulkRows: 20_000,
    compareMs: 86_400_000,
  });
  expect(source.contractsFor("crm").map(({ name }) => name)).toEqual(["crm"]);
  expect(salesforce({ ...right, compareIds: false }).compareMs).toBeUndefined();
});

test.each<[string, Partial<SalesforceOptions>]>([
  ["no object", { objects: [] }],
  ["an object twice", { objects: ["Account", "account"] }],
  ["an object that would be part of a query", { objects: ["Account WHERE Id != null"] }],
  ["an object that would be part of an address", { objects: ["../limits"] }],
  ["an address without TLS", { loginUrl: "http://acme.my.salesforce.com" }],
  ["an address that is none", { loginUrl: "acme" }],
  ["an instance without TLS", { instanceUrl: "http://acme.my.salesforce.com" }],
  ["no secret", { auth: { clientId: "app" } as never }],
  ["an empty secret", { auth: { clientId: "app", clientSecret: "" } }],
  ["a key without a user", { auth: { clientId: "app", privateKey: "hush" } as never }],
  ["a version that is none", { apiVersion: "62" }],
  ["more than the whole quota", { quotaShare: 1.5 }],
  ["nothing of the quota", { quotaShare: 0 }],
  ["half a row", { bulkRows: 0.5 }],
  ["no time between passes", { every: 0 }],
])("%s is refused, and no secret is told", (_, options) => {
  const refused = () => salesforce({ ...right, ...options });
  expect(refused).toThrow(expect.objectContaining({ code: "invalid_source" }));
  expect(refused).not.toThrow(/hush/);
});
