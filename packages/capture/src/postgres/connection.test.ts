import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { join } from "node:path";
import { postgresMissing } from "@weir/testkit";
import { afterAll, afterEach, expect, test } from "vitest";
import { Capturing } from "./capturing.fixture.ts";
import { closeServers } from "./database.fixture.ts";
import { connect } from "./connect.ts";
import { serverFacts } from "./server-facts.ts";

afterAll(closeServers);

let capturing: Capturing | undefined;
let proxy: Server | undefined;
afterEach(async () => {
  await capturing?.close();
  proxy?.close();
  capturing = undefined;
});

const skipped = test.skipIf(postgresMissing(18) !== undefined);
const t = { "public.t": ["id"] };

/** Stands between a capture and its server, and can go deaf: it holds connections open and passes nothing on. */
async function deafProxy(on: Capturing): Promise<{ url: string; deafen: () => void }> {
  const pairs: [Socket, Socket][] = [];
  const { connect: dial } = await import("node:net");
  const server = createServer((client) => {
    const upstream = dial(on.database.server.socket);
    client.pipe(upstream).pipe(client);
    for (const socket of [client, upstream]) socket.on("error", () => undefined);
    client.on("close", () => upstream.destroy());
    pairs.push([client, upstream]);
  });
  proxy = server;
  const path = join(on.database.server.directory, "proxy");
  await new Promise<void>((resolve) =>
    server.listen(join(path.replace("proxy", ""), ".s.PGSQL.5433"), resolve),
  );
  return {
    url: on.database.url.replace(":5432", ":5433"),
    deafen: () => {
      for (const [client, upstream] of pairs) {
        client.unpipe(upstream);
        upstream.unpipe(client);
      }
    },
  };
}

skipped(
  "a server that has gone silent is noticed, and nothing is lost",
  async () => {
    capturing = await Capturing.on(
      18,
      "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)",
      { heartbeat: "10m" },
      { wal_sender_timeout: "1s" },
    );
    const { url, deafen } = await deafProxy(capturing);
    capturing.options = { url, heartbeat: "10m" };
    const run = capturing.start();
    await capturing.upToDate(t);
    deafen();
    await expect(run.ended).rejects.toMatchObject({
      code: "postgres_unreachable",
      message: expect.stringContaining("has sent nothing for"),
    });
    await capturing.database.run("INSERT INTO t VALUES (2)");
    capturing.options = {};
    capturing.start();
    await capturing.upToDate(t);
  },
  60_000,
);

skipped("a server that is silent while it is behind is waited for", async () => {
  capturing = await Capturing.on(
    18,
    "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)",
    { heartbeat: "10m" },
    { wal_sender_timeout: "1s" },
  );
  const { database } = capturing;
  capturing.start();
  await capturing.upToDate(t);
  const [sender] = await database.run(
    `SELECT active_pid FROM pg_replication_slots WHERE slot_name = '${capturing.slot}'`,
  );
  const pid = Number(sender?.["active_pid"]);
  process.kill(pid, "SIGSTOP");
  try {
    await database.run("INSERT INTO t VALUES (2)");
    const since = performance.now();
    // Three times as long as a server may be silent that has nothing to do.
    await capturing.until(() => expect(performance.now() - since).toBeGreaterThan(6_000));
  } finally {
    process.kill(pid, "SIGCONT");
  }
  await capturing.upToDate(t);
});

skipped("what cannot be connected to, and what is refused, is said without the password", async () => {
  capturing = await Capturing.on(18, "CREATE TABLE t (id int PRIMARY KEY)");
  const { database } = capturing;
  const cases = [
    [
      database.url.replace(database.name, "nowhere").replace("postgres@", "postgres:secret@"),
      "postgres_refused",
    ],
    ["postgres://nobody:secret@127.0.0.1:1/x", "postgres_unreachable"],
    ["postgres://nobody:secret@localhost:5432/x?host=/nowhere", "postgres_unreachable"],
    [database.url.replace("postgres@", "stranger:secret@"), "postgres_refused"],
  ] as const;
  for (const [url, code] of cases) {
    capturing.options = { url };
    const found = await capturing.capture.check();
    expect(found.map((finding) => [finding.severity, finding.code])).toEqual([["error", code]]);
    await expect(capturing.start().ended).rejects.toMatchObject({ code });
    expect(JSON.stringify(found)).not.toContain("secret");
  }
});

skipped("a connection answers several statements, errors between them, and large values", async () => {
  capturing = await Capturing.on(18, "");
  const wire = await connect({ url: capturing.database.url, name: "test" });
  // Queries wait for each other; a COPY is begun only on a connection that does nothing else.
  const answers = await Promise.allSettled([
    wire.query("SELECT 1, NULL, ''; SELECT 'last', repeat('x', 300000)"),
    wire.query("SELECT nonsense"),
    wire.query("SELECT 3"),
  ]);
  expect(answers[0]).toEqual({ status: "fulfilled", value: [["last", "x".repeat(300_000)]] });
  expect(answers[1]).toMatchObject({ status: "rejected", reason: { code: "42703" } });
  expect(answers[2]).toEqual({ status: "fulfilled", value: [["3"]] });
  await expect(
    wire.copyOut("COPY (SELECT 1/0) TO STDOUT", { data: () => undefined, chunk: () => undefined }),
  ).rejects.toMatchObject({ code: "22012" });
  expect(await serverFacts(wire)).toMatchObject({ walLevel: "logical", standby: false, encoding: "UTF8" });
  await wire.close();
  await expect(wire.query("SELECT 1")).rejects.toThrow("closed the connection");
});
