import type { Sql } from "../database.ts";
import { eachRow } from "../each-row.ts";
import { takeRandom } from "./cipher.ts";
import { bytesOf, metaOf, vaultTable } from "./vault-file.ts";

/** What the vault counts on from. */
export interface Counts {
  readonly numberedFrom: number;
  readonly nextId: number;
  readonly write: number;
  readonly salts: readonly Salt[];
}

/** Of the ids from `from` to the next salt's. */
export interface Salt {
  readonly from: number;
  readonly salt: Buffer;
}

const noSalt = Buffer.alloc(8);

/** @param salts in the order of their ids */
export function saltAt(salts: readonly Salt[], id: number): Buffer {
  let [low, high] = [0, salts.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((salts[middle]?.from ?? 0) <= id) low = middle + 1;
    else high = middle;
  }
  return salts[low - 1]?.salt ?? noSalt;
}

/** Gives the ids from here on a salt of this start's own, in place of one that no id came to use. */
async function saltsFrom(sql: Sql, nextId: number): Promise<Salt[]> {
  const table = vaultTable("salts");
  await sql.run(`BEGIN;
    DELETE FROM ${table} WHERE from_id >= ${nextId};
    INSERT INTO ${table} VALUES (${nextId}, from_hex('${takeRandom(noSalt.length).toString("hex")}'));
    COMMIT`);
  const salts: Salt[] = [];
  await eachRow(await sql.stream(`SELECT from_id::DOUBLE, salt FROM ${table} ORDER BY from_id`), (value) => {
    salts.push({ from: value(0) as number, salt: Buffer.from(bytesOf(value(1))) });
  });
  return salts;
}

export async function countsOf(sql: Sql): Promise<Counts> {
  const [tokens, ciphers, sealing] = ["tokens", "ciphers", "sealing"].map(vaultTable);
  const { id, write } = await sql.row<{ id: number; write: number }>(
    `SELECT greatest(0, (SELECT max(id) FROM ${tokens}), (SELECT max(id) FROM ${sealing}))::DOUBLE AS id,
       greatest(0, (SELECT max(write) FROM ${tokens}), (SELECT max(write) FROM ${ciphers}))::DOUBLE AS write`,
  );
  const kept = Number((await metaOf(sql, "next_id")) ?? 0);
  const numberedFrom = Number((await metaOf(sql, "numbered_from")) ?? 1);
  const nextId = Math.max(id + 1, kept, numberedFrom);
  return { numberedFrom, nextId, write: write + 1, salts: await saltsFrom(sql, nextId) };
}
