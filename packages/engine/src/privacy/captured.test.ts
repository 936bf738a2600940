import { compileProject, entity } from "@weir/compile";
import { Type, changeContract } from "@weir/contract";
import { expect, test } from "vitest";
import { Harness } from "../harness.fixture.ts";

test("a captured column that names persons is not searched, as fields that do are not; an erasure finds who is meant", async () => {
  const calls = changeContract("db", { "public.people": { name: "name" } });
  const harness = new Harness();
  try {
    await harness.open(
      compileProject({
        name: "p",
        sources: { db: { contracts: [calls] } },
        tables: {},
        privacy: { subjects: [["db.public.calls", { account: "caller" }]] },
      }),
    );
    // By chance an id may be what a card number is.
    const account = "4556737586899855";
    const row = { n: 1, caller: account, note: `of ${account}` };
    const text = { id: "1", at: "2026-01-01T00:00:00Z", stream: "public.calls", op: "insert", version: "1" };
    await harness.load([{ source: "db", sent: "db", text: JSON.stringify({ ...text, key: "[1]", row }) }]);
    expect(await harness.rows(`SELECT "row"->>'caller', "row"->>'note' FROM db`)).toEqual([
      [account, "of 455673******9855"],
    ]);
    const plan = await harness.engine.erasures.plan({ identifiers: [{ kind: "account", value: account }] });
    expect(plan).toMatchObject({ contracts: [{ contract: "db", records: 1 }] });
  } finally {
    await harness.end();
  }
});

const project = compileProject({
  name: "p",
  sources: {
    db: {
      contracts: [
        changeContract("db", {
          "public.orders": { customer: "subject", card: "pan" },
          "public.logins": { login: "email" },
        }),
      ],
    },
  },
  tables: {
    orders: entity({ from: "db.public.orders", key: "id", columns: { customer: Type.String() } }),
    logins: entity({ from: "db.public.logins", key: "login", columns: {} }),
  },
});

const change = (version: number, op: string, stream: string, key: string, row: object): string =>
  JSON.stringify({
    id: `${version}/${stream}/${key}`,
    at: "2026-01-01T00:00:00Z",
    stream,
    op,
    key: JSON.stringify([key]),
    version: String(version),
    row,
  });
const sent = (text: string): { source: string; sent: string; text: string } => ({
  source: "db",
  sent: "db",
  text,
});

test("a key that happens to be the same as another column's personal value stays, so that its delete is of the same row", async () => {
  const harness = new Harness();
  try {
    await harness.open(project);
    await harness.load([
      sent(change(1, "insert", "public.orders", "7", { id: "7", customer: "7" })),
      sent(change(2, "insert", "public.orders", "8", { id: "8", customer: "7" })),
      sent(change(3, "delete", "public.orders", "7", { id: "7" })),
    ]);
    expect(await harness.rows("SELECT id FROM orders")).toEqual([["8"]]);
    expect(await harness.rows("SELECT key FROM db ORDER BY version")).toEqual([
      ['["7"]'],
      ['["8"]'],
      ['["7"]'],
    ]);
  } finally {
    await harness.end();
  }
});

test("a column that has the value of a tagged key is searched as others are", async () => {
  const harness = new Harness();
  try {
    await harness.open(project);
    const login = "ann@example.com";
    await harness.load([sent(change(1, "insert", "public.logins", login, { login, shown: login }))]);
    expect(await harness.rows(`SELECT "row"->>'shown' FROM db`)).toEqual([["[email]"]]);
    expect(JSON.stringify(await harness.rows("FROM db"))).not.toContain(login);
  } finally {
    await harness.end();
  }
});

test("what is kept of a card number stays when the text of its row is read again", async () => {
  const harness = new Harness();
  try {
    await harness.open(project);
    const row = { id: "9", customer: "1", card: "4111 1111 1111 1111" };
    await harness.load([sent(change(1, "insert", "public.orders", "9", row))]);
    const [[kept]] = (await harness.rows("SELECT text FROM raw")) as [[string]];
    const [again] = await harness.engine.vault!.restoreTexts([kept]);
    await harness.load([sent(again!.replace('"id":"1/', '"id":"2/'))]);
    const cards = await harness.rows(`SELECT "row"->>'card' FROM db`);
    expect(cards).toEqual([["411111******1111"], ["411111******1111"]]);
  } finally {
    await harness.end();
  }
});
