/** HTTP as only few clients use it: pipelining, half-closed connections, Expect, chunks. */
import { expect, test } from "vitest";
import { startCollector } from "./collector.fixture.ts";
import { exchange } from "./raw-http.fixture.ts";

const request = (body: string, headers = "") =>
  `POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${headers}content-length: ${body.length}\r\n\r\n${body}`;

test("pipelined requests are answered in order, and land in order", async () => {
  const collector = await startCollector();
  const bodies = ['{"a":1}', '{"a":2}', "oops", '{"a":4}'];
  const bad = "POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: text/csv\r\ncontent-length: 3\r\n\r\na,b";
  const { answers } = await exchange(
    collector.port,
    [...bodies.map((body) => request(body)), bad, request("{}")].join(""),
    6,
  );
  expect(answers.map(({ status }) => status)).toEqual([202, 202, 202, 202, 415, 202]);
  expect(answers.map(({ body }) => (JSON.parse(body) as { accepted?: number }).accepted)).toEqual([
    1,
    1,
    0,
    1,
    undefined,
    1,
  ]);
  expect(collector.logged().map(({ text }) => text)).toEqual([...bodies, "{}"]);
});

test("a client that closes its half of the connection behind the request is answered", async () => {
  const collector = await startCollector();
  const { answers } = await exchange(collector.port, (socket) => socket.end(request('{"a":1}')));
  expect(answers).toMatchObject([{ status: 202 }]);
  expect(collector.logged()).toHaveLength(1);
});

test("a request cut off by a half-close is not a record", async () => {
  const collector = await startCollector();
  await exchange(collector.port, (socket) => socket.end(request('{"a":1}').slice(0, -2)));
  await expect.poll(() => collector.stats().abandoned).toBe(1);
  expect(collector.logged()).toEqual([]);
});

test("Expect: 100-continue: the body is asked for, or refused without it", async () => {
  const collector = await startCollector();
  const head = (length: number) =>
    `POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: ${length}\r\n\r\n`;
  const accepted = await exchange(
    collector.port,
    (socket) => {
      socket.write(head(7));
      socket.once("data", () => socket.write('{"a":1}'));
    },
    2,
  );
  expect(accepted.answers.map(({ status }) => status)).toEqual([100, 202]);
  const refused = await exchange(collector.port, head(50_000_000), 2);
  expect(refused.answers.map(({ status }) => status)).toEqual([413]);
  expect(refused.closed).toBe(true);
  expect(collector.logged()).toHaveLength(1);
});

test("chunked bodies, in chunks of a byte and with a trailer; HTTP/1.0", async () => {
  const collector = await startCollector();
  const chunks = '{"a":"b"}'
    .split("")
    .map((byte) => `1\r\n${byte}\r\n`)
    .join("");
  const head =
    "POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
  const { answers } = await exchange(collector.port, `${head}${chunks}0\r\nx-trailer: 1\r\n\r\n`);
  expect(answers).toMatchObject([{ status: 202 }]);
  const old = "POST /v1/events HTTP/1.0\r\ncontent-length: 2\r\n\r\n{}";
  expect((await exchange(collector.port, old)).answers).toMatchObject([{ status: 202 }]);
  expect(collector.logged().map(({ text }) => text)).toEqual(['{"a":"b"}', "{}"]);
});

test("the whole address as the target of a request", async () => {
  const collector = await startCollector();
  const whole = request("{}").replace("/v1/events", "http://collector.example.com/v1/events?contract=x");
  expect((await exchange(collector.port, whole)).answers).toMatchObject([{ status: 202 }]);
  expect(collector.logged()).toMatchObject([{ contract: "x" }]);
});
