/** SQL of users is checked before it runs: what it reads, and that it is a function of its inputs' rows. */
import { compileProject, derive, last, rollup } from "@weir/compile";
import { Type, contract, decimal, timestamp } from "@weir/contract";
import { expect, test } from "vitest";
import { checkProgram } from "./check-program.ts";

const Order = contract("order_placed", {
  version: "1.0.0",
  owner: "test",
  id: "id",
  time: "at",
  fields: Type.Object({
    id: Type.String(),
    at: timestamp(),
    n: Type.Integer(),
    x: Type.Number(),
    amount: decimal({ precision: 12, scale: 2 }),
    tags: Type.Array(Type.String()),
  }),
});

async function problems(sql: string, key = "id", keys = "id"): Promise<string> {
  const program = compileProject({
    name: "user_sql",
    sources: { web: { contracts: [Order] } },
    tables: {
      orders: rollup({
        from: Order,
        by: "id",
        measures: { n: last("n"), x: last("x"), amount: last("amount"), seen: last("at") },
      }),
      facts: derive({ from: { o: "orders" }, key, keys: { o: keys }, sql }),
    },
  });
  return await checkProgram(program).then(
    () => "",
    (error: { code?: string; message: string }) => `${error.code}: ${error.message}`,
  );
}

test.each([
  "SELECT id, n FROM o",
  "select * from o;",
  "FROM o -- all of it",
  "SELECT id, sum(amount) AS amount, avg(n) AS n, count(*) AS c, max(seen) AS seen FROM o GROUP BY id",
  "SELECT id, sum(x ORDER BY x) AS x, list(n ORDER BY seen, n) AS ns, arg_max(n, seen ORDER BY n) AS last_n FROM o GROUP BY ALL",
  "WITH lines AS (SELECT id, unnest([n, n + 1]) AS n FROM o) SELECT id, max(n) AS n FROM lines GROUP BY id",
  "SELECT id, list_sum(list_transform([x, x], y -> y + 1)) AS s, date_trunc('day', seen) AS day FROM o",
  "SELECT id, row_number() OVER (PARTITION BY id ORDER BY n, seen) AS r, sum(amount) OVER (PARTITION BY id) AS s FROM o",
  "SELECT o.id, r.i FROM o, range(2) r(i) WHERE i = 0",
  "SELECT DISTINCT ON (id) id, n FROM o ORDER BY id, n, seen",
  "SELECT o.id, p.n FROM o LEFT JOIN o p USING (id) WHERE o.n IN (SELECT n FROM o)",
  "SELECT id FROM o UNION SELECT id FROM o",
  "SELECT id, (SELECT max(n) FROM o p WHERE p.id = o.id) AS n FROM o",
  "SELECT id, list(n ORDER BY n) AS a, array_agg(x ORDER BY x DESC) AS b, list_sum([n]) AS c FROM o GROUP BY ALL",
  "SELECT id, list_aggregate([x], 'sum') AS s, [n, n + 1] AS l FROM o",
  "WITH RECURSIVE r AS (SELECT id, 1 AS i FROM o UNION ALL SELECT id, i + 1 FROM r WHERE i < 3) SELECT id, max(i) AS i FROM r GROUP BY id",
  "SELECT id, median(x) AS x, count(DISTINCT n) AS n, bool_or(n > 1) AS big FROM o GROUP BY id",
])("%s is taken", async (sql) => {
  expect(await problems(sql)).toBe("");
});

test.each([
  ["SELEC id FROM o", "syntax error"],
  ["SELECT id FROM o; SELECT id FROM o", "2 statements"],
  ["INSERT INTO o VALUES (1)", "one SELECT"],
  ["PIVOT o ON n USING sum(amount)", "one SELECT"],
  ["SELECT 1 AS id) _d; DROP TABLE o; --", "syntax error"],
  ["SELECT nothing AS id FROM o", 'Referenced column "nothing" not found'],
  ["SELECT id FROM orders", '"orders", which is not among'],
  ["SELECT id FROM db.state.orders", '"db.state.orders"'],
  ["SELECT id FROM order_placed", '"order_placed"'],
  ["SELECT id, content FROM o, read_text('/etc/passwd')", "read_text"],
  ["SELECT id FROM o, '/etc/passwd.csv'", "/etc/passwd.csv"],
  ["SELECT id FROM (DESCRIBE o), o", "DESCRIBE"],
  ["SELECT n FROM o", 'no column "id"'],
  ["SELECT id, n + 1 FROM o", "with AS"],
  ["SELECT id, n AS _n FROM o", '"_n"'],
  ["SELECT id, n, x AS N FROM o", "Rename one"],
  ["SELECT id, random() AS r FROM o", "random()"],
  ["SELECT id, now() AS t FROM o", "now()"],
  ["SELECT id, CURRENT_DATE AS t FROM o", "current_date()"],
  ["SELECT id, current_timestamp AS t FROM o", "get_current_timestamp()"],
  ["SELECT id FROM o WHERE seen > localtimestamp", "current"],
  ["SELECT id, ago(INTERVAL 1 DAY) AS t FROM o", "current_timestamp()"],
  ["SELECT id, age(seen) AS t FROM o", "age()"],
  ["SELECT id, uuid() AS u FROM o", "uuid()"],
  ["SELECT id, nextval('s') AS u FROM o", "Sequence"],
  ["SELECT id, getvariable('weir_commit') AS u FROM o", "getvariable()"],
  ["SELECT id, first(n) AS n FROM o GROUP BY id", "first() depends on the order"],
  ["SELECT id, any_value(n) AS n FROM o GROUP BY id", "any_value() depends"],
  ["SELECT id, list(n) AS n FROM o GROUP BY id", "list() depends"],
  ["SELECT id, list(n ORDER BY n) AS a, array_agg(n) AS b FROM o GROUP BY id", "depends"],
  ["SELECT id, string_agg(n, ',') AS n FROM o GROUP BY id", "string_agg() depends"],
  ["SELECT id, arg_max(n, seen) AS n FROM o GROUP BY id", "arg_max() depends"],
  ["SELECT id, sum(x) AS x FROM o GROUP BY id", "sum() of DOUBLE depends"],
  ["SELECT id, avg(x) OVER (PARTITION BY id) AS x FROM o", "avg() of DOUBLE depends"],
  ["SELECT id, stddev(n) AS x FROM o GROUP BY id", "depends on the order"],
  ["SELECT id, row_number() OVER () AS r FROM o", "row_number() needs an ORDER BY"],
  ["SELECT id, lag(n) OVER (PARTITION BY id) AS r FROM o", "lag() needs an ORDER BY"],
  ["SELECT id FROM o LIMIT 1", "LIMIT"],
  ["SELECT DISTINCT ON (id) id, n FROM o", "DISTINCT ON"],
  ["SELECT id FROM o TABLESAMPLE 10%", "samples"],
  ["SELECT o.id FROM o POSITIONAL JOIN o p", "by position"],
  ["SELECT $1 AS id FROM o", "parameter"],
])("%s is refused: %s", async (sql, why) => {
  const found = await problems(sql);
  expect(found).toMatch(/^project_invalid: table facts: /);
  expect(found).toContain(why);
});

test("what is wrong with an input's columns is said by name", async () => {
  expect(await problems("SELECT id FROM o", "id", "order_id")).toContain(
    'table facts: its input "o" has no column "order_id", which "keys" names.',
  );
});

test("every problem is told, once", async () => {
  const found = await problems("SELECT id, now() AS a, now() AS b, first(n) AS c FROM o GROUP BY id");
  expect(found.match(/table facts/g)).toHaveLength(2);
});
