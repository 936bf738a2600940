/** HTTPS: with files that are renewed, and with files that cannot be used. */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { request } from "node:https";
import type { TLSSocket } from "node:tls";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Type, contract, timestamp } from "@weir/contract";
import { directoryStore } from "@weir/log";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createCollector } from "./server.ts";
import type { Collector } from "./server.ts";
import { http } from "./source.ts";
import { readValidTlsPair } from "./tls.ts";

const Clicked = contract("clicked", {
  version: "1.0.0",
  owner: "test",
  id: "id",
  time: "at",
  fields: Type.Object({ id: Type.String(), at: timestamp() }),
});

let directory: string;
let collector: Collector | undefined;
const errors: unknown[] = [];
const path = (name: string): string => join(directory, name);
const files = (): { cert: string; key: string } => ({ cert: path("cert.pem"), key: path("key.pem") });

/** A certificate for 127.0.0.1, signed by itself. */
function makePair(name: string): void {
  const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"];
  const out = ["-keyout", path(`${name}.key`), "-out", path(`${name}.crt`)];
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  execFileSync("openssl", ["req", "-x509", ...key, ...subject, ...out], { stdio: "ignore" });
}
function use(name: string): void {
  copyFileSync(path(`${name}.key`), files().key);
  copyFileSync(path(`${name}.crt`), files().cert);
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "weir-tls-"));
  errors.length = 0;
  makePair("one");
  use("one");
});
afterEach(async () => {
  await collector?.close();
  collector = undefined;
  rmSync(directory, { recursive: true, force: true });
});

async function start(): Promise<Collector> {
  collector = await createCollector({
    sources: { web: http({ contracts: [Clicked] }) },
    store: directoryStore(join(directory, "log"), { minFreeBytes: 0 }),
    writer: "c0",
    tls: files(),
    onError: (error) => errors.push(error),
  });
  return collector;
}

/** Posts a record over a connection of its own. */
async function post(trusted: string): Promise<{ status: number | undefined; of: string }> {
  const { url } = collector as Collector;
  const ca = readFileSync(path(`${trusted}.crt`));
  return await new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    const sent = request(`${url}/v1/events`, { method: "POST", ca, agent: false, headers }, (response) => {
      const { CN } = (response.socket as TLSSocket).getPeerCertificate().subject;
      response.resume().on("end", () => resolve({ status: response.statusCode, of: String(CN) }));
    });
    sent.on("error", reject);
    sent.end(JSON.stringify({ type: "clicked", id: "1", at: "2026-01-15T10:00:00Z" }));
  });
}

test("records over HTTPS; plain HTTP is no way in", async () => {
  const { url, port } = await start();
  expect(url).toBe(`https://127.0.0.1:${port}`);
  expect(await post("one")).toEqual({ status: 202, of: "one" });
  const plain = await new Promise((resolve) => {
    get(`http://127.0.0.1:${port}/healthz`, (response) => resolve(response.statusCode)).on("error", () =>
      resolve("refused"),
    );
  });
  expect(plain).toBe("refused");
  expect(await post("one")).toMatchObject({ status: 202 });
});

test("a renewed certificate is used without a restart; half of one is not", async () => {
  await start();
  makePair("two");
  copyFileSync(path("two.key"), files().key);
  await expect.poll(() => errors, { timeout: 120_000 }).toHaveLength(1);
  expect(errors[0]).toMatchObject({ code: "tls_invalid" });
  expect(await post("one")).toEqual({ status: 202, of: "one" });
  use("two");
  await expect
    .poll(() => post("two").catch(() => undefined), { timeout: 120_000 })
    .toEqual({ status: 202, of: "two" });
  expect(errors).toHaveLength(1);
});

test.each([
  ["no file", () => rmSync(files().cert)],
  ["no PEM", () => writeFileSync(files().cert, "hello")],
  ["the key of another", () => (makePair("two"), copyFileSync(path("two.key"), files().key))],
])("%s: nothing starts", async (_, spoil) => {
  spoil();
  await expect(start()).rejects.toMatchObject({ code: "tls_invalid" });
});

test("a certificate whose time is over, or has not come, is not begun with", () => {
  const days = 86_400_000;
  expect(readValidTlsPair(files())).toHaveProperty("cert");
  for (const nowMs of [Date.now() + 3 * days, Date.now() - days])
    expect(() => readValidTlsPair(files(), nowMs)).toThrow(
      expect.objectContaining({ code: "tls_invalid", message: expect.stringContaining("not now") }),
    );
});
