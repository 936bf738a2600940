import { compileProject, entity, identity } from "@weir/compile";
import {
  Type,
  changeContract,
  contract,
  logContract,
  notPii,
  nullable,
  pci,
  pii,
  subject,
  timestamp,
} from "@weir/contract";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Harness } from "../harness.fixture.ts";

const signup = contract("signup", {
  version: "1.0.0",
  owner: "growth",
  id: "id",
  key: "user",
  time: "at",
  fields: Type.Object({
    id: Type.String(),
    at: timestamp(),
    user: Type.Optional(subject(Type.Integer())),
    email: Type.Optional(nullable(pii.email({ pattern: "@" }))),
    phone: Type.Optional(pii.phone()),
    card: Type.Optional(pci.pan({ pattern: "^[0-9 ]+$" })),
    cvv: Type.Optional(pci.cvv({ pattern: "^[0-9]{3}$" })),
    place: Type.Optional(
      Type.Object({
        city: Type.String(),
        line: Type.Optional(pii.address()),
        geo: Type.Optional(Type.Object({ ip: pii.ip() })),
      }),
    ),
    note: Type.Optional(Type.String()),
    code: Type.Optional(notPii(Type.String())),
    tags: Type.Optional(Type.Array(Type.String())),
    slugs: Type.Optional(Type.Array(Type.Object({ of: Type.String({ pattern: "." }) }))),
    seen: Type.Optional(Type.Record(Type.String(), Type.Integer())),
    j: Type.Optional(Type.Integer()),
  }),
});
const customers = changeContract("db", {
  "public.customers": { id: "subject", email: "email", card: "pan", memo: "none" },
});
const app = logContract("app_logs");
const project = compileProject({
  name: "privacy",
  sources: {
    web: { contracts: [signup] },
    db: { contracts: [customers] },
    logs: { contracts: [app] },
  },
  tables: {
    customers: entity({
      from: "db.public.customers",
      key: "id",
      columns: { id: Type.String(), email: Type.String(), memo: Type.String() },
    }),
  },
});

let harness: Harness;
beforeEach(async () => {
  harness = new Harness({ internals: { upkeepEveryMs: 3_600_000 } });
  await harness.open(project);
});
afterEach(() => harness.end());

const record = (
  id: string,
  more: Readonly<Record<string, unknown>> | string,
): { source: string; sent: string; text: string } => ({
  source: "web",
  sent: "signup",
  text: typeof more === "string" ? more : JSON.stringify({ id, at: "2026-01-01T00:00:00Z", ...more }),
});

const restored = async (): Promise<unknown[]> => {
  const rows = await harness.rows("SELECT text FROM raw ORDER BY number, line");
  return await harness.engine.vault!.restoreTexts(rows.map(([text]) => String(text)));
};

test("values become tokens in columns, structs, unknown members and texts, and can be restored to the byte", async () => {
  const records = [
    record("1", {
      user: 42,
      email: "ann@example.com",
      phone: "+31 20 555",
      place: { city: "Delft", line: "Main 1", geo: { ip: "10.0.0.1" } },
    }),
    record("2", { user: 42, email: null, contact: "ann@example.com", place: { city: "x" } }),
    record("3", { email: "ann@example.com", other: { deep: "ann@example.com" }, phone: "" }),
    // What SQL does not find: escapes, and a number in another form.
    record(
      "4",
      String.raw`{"id":"4","at":"2026-01-01T00:00:00Z","email":"\u0061nn@example.com","user":42.0,"note":"a\"b"}`,
    ),
    record(
      "5",
      String.raw`{"id":"5","at":"2026-01-01T00:00:00Z","\u0065mail":"ann@example.com","note":"\"email\":\"ann@example.com\""}`,
    ),
  ];
  await harness.load(records);
  const rows = await harness.rows(
    'SELECT id, "user", email, phone, place.line, place.geo.ip, _extra::VARCHAR, note FROM signup ORDER BY id',
  );
  const [, who, email, phone, line, ip] = rows[0] as string[];
  expect(who).toMatch(/^sub_/);
  expect([email, phone, line, ip].map((token) => token?.slice(0, -22))).toEqual([
    "tok_email_",
    "tok_phone_",
    "tok_address_",
    "tok_ip_",
  ]);
  expect(rows.slice(1)).toEqual([
    ["2", who, null, null, null, null, '{"contact":"[email]"}', null],
    ["3", null, email, "", null, null, `{"other":{"deep":"${email}"}}`, null],
    ["4", who, email, null, null, null, null, 'a"b'],
    ["5", null, email, null, null, null, null, '"email":"[email]"'],
  ]);
  const values = await harness.engine.vault!.reveal([who!, email!, phone!, line!, ip!]);
  expect([...values.values()].sort()).toEqual(["+31 20 555", "10.0.0.1", "42", "Main 1", "ann@example.com"]);
  const texts = await restored();
  expect(texts.filter((_, i) => i === 0 || i === 2)).toEqual([records[0]!.text, records[2]!.text]);
  expect(texts.map((text) => (JSON.parse(text as string) as { email?: string }).email)).toEqual([
    "ann@example.com",
    null,
    "ann@example.com",
    "ann@example.com",
    "ann@example.com",
  ]);
  // The hash of what was received, wherever the text is another.
  const contents = await harness.rows(
    "SELECT r.content = s._content FROM raw r JOIN signup s ON r.number = s._number AND r.line = s._line",
  );
  expect(contents).toEqual(contents.map(() => [true]));
  expect((await harness.engine.verify()).ok).toBe(true);
});

test("the original is judged; card data is masked and accepted again when the text is restored", async () => {
  await harness.load([
    record("1", { card: "4111 1111 1111 1111", cvv: "123", note: "123" }),
    record("2", { card: "x4111", cvv: "123" }),
    record("3", { email: "none", cvv: "987" }),
  ]);
  expect(await harness.rows("SELECT id, card, cvv, note FROM signup")).toEqual([
    ["1", "411111******1111", "***", "123"],
  ]);
  const [first] = await restored();
  const again = JSON.parse(first as string) as { card: string; cvv: string };
  expect(again.cvv).toBe("000");
  await harness.load([record("1b", { ...again, id: "1b" })]);
  expect(await harness.rows("SELECT card, cvv FROM signup WHERE id = '1b'")).toEqual([
    ["411111******1111", "***"],
  ]);
  const all = JSON.stringify(await harness.rows("SELECT text, error FROM raw"));
  for (const needle of ["4111 1111", "987", "none"]) expect(all).not.toContain(needle);
  const opened = await harness.engine.vault!.unseal(
    (await harness.rows("SELECT text FROM quarantine ORDER BY id")).map(String),
  );
  expect(opened[1]).toContain('"cvv": "***"');
});

test("a value that other members have too is nowhere in the text, wherever they stand", async () => {
  const member = (name: string, value: unknown): string => `${JSON.stringify(name)}:${JSON.stringify(value)}`;
  const members = [
    member("who", "Zed Needleman"),
    member("phone", "+31 20 555"),
    member("place", { city: "x", line: "Zed Needleman" }),
    member("email", "zed@example.com"),
  ];
  // Each in a batch of its own, which is looked at in the order of its record.
  for (const i of members.keys()) {
    const turned = [...members.slice(i), ...members.slice(0, i)];
    await harness.load([record(`${i}`, `{"id":"${i}","at":"2026-01-01T00:00:00Z",${turned.join(",")}}`)]);
  }
  expect(await harness.rows("SELECT count(*)::INTEGER FROM signup")).toEqual([[members.length]]);
  expect(JSON.stringify(await harness.rows("SELECT text, s._extra FROM raw, signup s"))).not.toMatch(
    /Zed|zed@|555/,
  );
});

test("a card number behind an escape is masked, in a contract with any names of fields", async () => {
  const escaped = ["\\u00a0", "\\u0001", "\\n", "\\u201c"];
  await harness.load(
    escaped.map((escape, i) =>
      record(
        `${i}`,
        `{"id":"${i}","at":"2026-01-01T00:00:00Z","j":1,"other":{"a":"${escape}4111111111111111"}}`,
      ),
    ),
  );
  expect(await harness.rows("SELECT count(*)::INTEGER, sum(j)::INTEGER FROM signup")).toEqual([[4, 4]]);
  const all = await harness.rows("SELECT text, s._extra FROM raw, signup s");
  expect(JSON.stringify(all)).not.toContain("4111111111111111");
});

test("security codes of cards are kept nowhere, sealed or not: not in what was found either, nor of records that no contract takes", async () => {
  await harness.load([
    record("1", { cvv: 7373 }),
    record("2", { cvv: "7373", email: "none" }),
    { source: "web", sent: "signup@9.0.0", text: '{"id":"3","cvv":"7373"}' },
    { source: "web", sent: "unknown_thing", text: '{"id":"4","cvv":"7373"}' },
  ]);
  const rows = await harness.rows("SELECT text, violations FROM quarantine ORDER BY id");
  const sealed = JSON.stringify(rows).match(/sealed:\d+:[A-Za-z0-9+/=]+/g) ?? [];
  const opened = await harness.engine.vault!.unseal(sealed);
  expect(opened).toHaveLength(5);
  expect(opened.join()).toContain('"none"');
  expect([...opened, ...(await restored())].join()).not.toContain("7373");
});

test("what fails is sealed: text, bytes, details and findings; reasons and pointers are readable", async () => {
  await harness.load([
    record("1", { email: "secret needle", nested: 1 }),
    { source: "web", sent: "unknown_thing", text: '{"who":"needle two"}' },
    {
      source: "web",
      sent: "signup",
      error: "invalid_json: at needle three",
      bytes: Buffer.from('{"x":needle four'),
    },
  ]);
  const rows = await harness.rows(
    "SELECT reason, detail, violations, text, base64 FROM quarantine ORDER BY reason",
  );
  const raw = await harness.rows("SELECT error, text FROM raw");
  expect(JSON.stringify([rows, raw])).not.toMatch(/needle|bmVlZGxl/);
  const [violation, broken, unknown] = rows as string[][];
  expect([violation![0], broken![0], unknown![0]]).toEqual([
    "contract_violation",
    "invalid_json",
    "unknown_contract",
  ]);
  const [found] = JSON.parse(violation![2]!) as {
    pointer: string;
    keyword: string;
    found: string;
    message: string;
  }[];
  expect(found).toMatchObject({
    pointer: "/email",
    keyword: "pattern",
    message: '/email breaks pattern "@".',
  });
  const vault = harness.engine.vault!;
  expect(await vault.unseal([found!.found, broken![1]!, broken![4]!, unknown![3]!])).toEqual([
    '"secret needle"',
    "at needle three",
    Buffer.from('{"x":needle four').toString("base64"),
    '{"who":"needle two"}',
  ]);
  expect((await restored())[1]).toBe('{"who":"needle two"}');
});

test("undeclared addresses and card numbers are masked in fields, lists, unknown members and logs; what is said not to be personal stays", async () => {
  await harness.load([
    record("ann@example.com", {
      note: "call ann@example.com or 4111-1111-1111-1111",
      code: "ann@example.com",
      tags: ["plain", "bob@example.com"],
      more: { "eve@example.com": 4111111111111111, n: 1.5 },
    }),
    record("carl@example.com", {
      // In JSON the letter of an escape stands before the number.
      more: "card:\n5555555555554444",
      email: "known@example.com",
    }),
    {
      source: "logs",
      sent: "app_logs",
      text: JSON.stringify({
        id: "l1",
        time: "2026-01-01T00:00:00Z",
        body: "login of ann@example.com",
        attributes: { user: "ann@example.com", n: 1 },
      }),
    },
  ]);
  expect(await harness.rows("SELECT id, note, code, tags, _extra::VARCHAR FROM signup ORDER BY id")).toEqual([
    [
      "ann@example.com",
      "call [email] or 411111******1111",
      "ann@example.com",
      ["plain", "[email]"],
      '{"more":{"[email]":4111111111111111,"n":1.5}}',
    ],
    ["carl@example.com", null, null, null, '{"more":"card:\\n555555******4444"}'],
  ]);
  expect(await harness.rows("SELECT body, attributes::VARCHAR FROM app_logs")).toEqual([
    ["login of [email]", '{"user":"[email]","n":1}'],
  ]);
  const texts = JSON.stringify(await harness.rows("SELECT text FROM raw"));
  for (const needle of ["bob@", "eve@", "known@", "4111-", "5555555"]) expect(texts).not.toContain(needle);
  expect((await harness.engine.verify()).ok).toBe(true);
});

test("lists are searched whatever is declared of their items, and the names in maps of numbers", async () => {
  await harness.load([
    record("1", { slugs: [{ of: "ann@example.com" }] }),
    record("2", { seen: { "ann@example.com": 3, "bob@example.com": 4 } }),
  ]);
  expect(await harness.rows("SELECT slugs::VARCHAR, seen::VARCHAR FROM signup ORDER BY id")).toEqual([
    ["[{'of': '[email]'}]", null],
    [null, "{'[email]'=3, '[email] 2'=4}"],
  ]);
  expect(JSON.stringify(await harness.rows("FROM raw"))).not.toContain("@example");
});

const change = (
  version: string,
  op: string,
  row: object,
  key = '["7"]',
  stream = "public.customers",
): { source: string; sent: string; text: string } => ({
  source: "db",
  sent: "db",
  text: JSON.stringify({
    id: `${version}/${stream}/${key}`,
    at: "2026-01-01T00:00:00Z",
    stream,
    op,
    key,
    version,
    row,
  }),
});

test("captured rows: the same pseudonym in rows, keys, ids and events; deletes find their row; texts restore", async () => {
  const records = [
    change("1", "insert", {
      id: "7",
      email: "ann@example.com",
      card: null,
      memo: "ann@example.com",
      bio: "I am ann@example.com",
    }),
    change(
      "2",
      "insert",
      { id: "8", email: "bob@example.com", card: "4111111111111111", memo: null, bio: "" },
      '["8"]',
    ),
    change("3", "update", { id: "7", email: "ann@new.example.com", card: null, memo: null, bio: null }),
    change("4", "delete", { id: "8" }, '["8"]'),
    change(
      "5",
      "insert",
      { id: "bob@example.com", text: "to bob@example.com, eve@example.com" },
      '["bob@example.com"]',
      "public.notes",
    ),
    record("1", { user: 7, email: "ann@new.example.com" }),
  ];
  await harness.load(records);
  const [[who, email]] = (await harness.rows('SELECT "user", email FROM signup')) as [[string, string]];
  expect(await harness.rows("SELECT id, email, memo FROM customers")).toEqual([[who, email, null]]);
  const rows = await harness.rows('SELECT id, key, "row"::VARCHAR FROM db ORDER BY version');
  expect(rows[0]).toEqual([
    expect.stringMatching(/^chg_[0-9a-f]{32}$/),
    JSON.stringify([who]),
    expect.stringContaining('"memo":"ann@example.com","bio":"I am [email]"'),
  ]);
  expect(rows[3]![1]).toBe(rows[1]![1]);
  expect(rows[4]).toEqual([
    '5/public.notes/["bob@example.com"]',
    '["bob@example.com"]',
    '{"id":"bob@example.com","text":"to [email], [email]"}',
  ]);
  const raw = (await harness.rows("SELECT text FROM raw WHERE source = 'db' ORDER BY line")).map(String);
  expect(raw.slice(0, 4).map((text) => text.slice(0, 11))).toEqual(Array(4).fill("sealed:sub_"));
  const texts = await harness.engine.vault!.restoreTexts(raw);
  expect([texts[0], texts[2], texts[3]]).toEqual([records[0]!.text, records[2]!.text, records[3]!.text]);
  expect(texts[1]).toContain('"card":"411111******1111"');
  await harness.engine.vault!.destroySubjects([who]);
  expect((await harness.engine.vault!.restoreTexts(raw)).map((text) => text === undefined)).toEqual([
    true,
    false,
    true,
    false,
    false,
  ]);
  expect((await harness.engine.verify()).ok).toBe(true);
});

test("sent again, before and after a restart, in any order: duplicates, and the same tokens", async () => {
  const records = [
    record("1", { user: 1, email: "a@example.com", note: "b@example.com" }),
    record("2", { user: 2, email: "a@example.com" }),
    change("1", "insert", { id: "7", email: "a@example.com" }),
  ];
  await harness.load(records);
  const state = async (): Promise<unknown> => [
    await harness.rows("SELECT * EXCLUDE (_received_at, _number, _line) FROM signup ORDER BY id"),
    await harness.rows("SELECT id, email FROM customers"),
  ];
  const before = await state();
  await harness.load(records.toReversed());
  await harness.open(project);
  await harness.load(records);
  expect(await state()).toEqual(before);
  const { ok } = await harness.engine.verify();
  expect(ok).toBe(true);
  expect(await harness.rows("SELECT count(*)::INTEGER FROM raw")).toEqual([[9]]);
});

test("a project without personal fields keeps everything as it came, and no vault", async () => {
  const plain = contract("plain", {
    version: "1.0.0",
    owner: "o",
    id: "id",
    time: "at",
    fields: Type.Object({ id: Type.String(), at: timestamp(), note: Type.String() }),
  });
  const other = new Harness();
  try {
    const sources = { web: { contracts: [plain] } };
    await other.open(compileProject({ name: "plain", sources, tables: {} }));
    const text = '{"id":"1","at":"2026-01-01T00:00:00Z","note":"ann@example.com"}';
    await other.load([{ source: "web", sent: "plain", text }]);
    expect(other.engine.vault).toBeUndefined();
    expect(await other.rows("SELECT text, content FROM raw")).toEqual([[text, null]]);
    await other.open(compileProject({ name: "plain", sources, tables: {}, privacy: { detect: true } }));
    await other.load([{ source: "web", sent: "plain", text: text.replace('"1"', '"2"') }]);
    expect(await other.rows("SELECT note FROM plain ORDER BY id")).toEqual([
      ["ann@example.com"],
      ["[email]"],
    ]);
  } finally {
    await other.end();
  }
});

test("an id that looks like a card number stays where it names a person, and is masked elsewhere", async () => {
  const seen = contract("seen", {
    version: "1.0.0",
    owner: "o",
    id: "id",
    time: "at",
    fields: Type.Object({
      id: Type.String(),
      at: timestamp(),
      who: Type.Object({ device: Type.String() }),
      note: Type.String(),
    }),
  });
  const other = new Harness();
  try {
    const people = identity({ ids: [[seen, { device: "who.device" }]] });
    const sources = { web: { contracts: [seen] } };
    await other.open(
      compileProject({ name: "plain", sources, tables: { people }, privacy: { detect: true } }),
    );
    // Both are numbers with a card's first digits and the right check digit, and the same once they are masked.
    const devices = ["4111110000091111", "4111110000171111"];
    await other.load(
      devices.map((device, i) => ({
        source: "web",
        sent: "seen",
        text: JSON.stringify({
          id: String(i),
          at: "2026-01-01T00:00:00Z",
          who: { device },
          note: "4111 1111 1111 1111",
        }),
      })),
    );
    expect(await other.rows("SELECT who.device, note FROM seen ORDER BY id")).toEqual(
      devices.map((device) => [device, "411111******1111"]),
    );
    expect(await other.rows("SELECT count(DISTINCT person)::INTEGER FROM people")).toEqual([[2]]);
    const texts = JSON.stringify(await other.rows("SELECT text FROM raw"));
    for (const device of devices) expect(texts).toContain(device);
    expect(texts).not.toContain("4111 1111");
  } finally {
    await other.end();
  }
});
