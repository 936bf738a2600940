import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { readAsked, refuseOthers } from "./http-json.ts";

const request = (body: object): IncomingMessage =>
  Readable.from([Buffer.from(JSON.stringify(body))]) as IncomingMessage;
const members = ["identifiers", "allowMany"];

test("a request that changes things for good has the members that it may have, and no plan by another name", async () => {
  const asked = { identifiers: [], allowMany: "all hers" };
  expect(await readAsked(request(asked), members)).toEqual({ plan: false, body: asked });
  expect(await readAsked(request({ ...asked, plan: true }), members)).toEqual({ plan: true, body: asked });
  for (const more of [{ dryRun: true }, { plan: "true" }, { plan: 1 }, { plan: null }, { Plan: true }])
    await expect(readAsked(request({ ...asked, ...more }), members)).rejects.toMatchObject({
      code: "invalid_usage",
    });
  expect(() => refuseOthers({ Kind: "email", value: "x" }, ["kind", "value"])).toThrow('"Kind" is no member');
});
