import { Pool } from "pg";
import type { Cell } from "./api.ts";

const connections = 2;

/** The store's database, as the store itself sees it. */
export class StoreDatabase {
  readonly #pool: Pool;

  constructor(url: string) {
    this.#pool = new Pool({ connectionString: url, max: connections });
    // A connection that breaks while nothing is asked; the next question says so.
    this.#pool.on("error", () => {});
  }

  /** Rows of one SELECT; numerics and large integers are strings. */
  async query(sql: string): Promise<readonly (readonly Cell[])[]> {
    const { rows } = await this.#pool.query<Cell[]>({ text: sql, rowMode: "array" });
    return rows;
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }
}
