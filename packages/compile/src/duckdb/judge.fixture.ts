/** For tests: a DuckDB with the tables that a contract's rows are made from. */
import { DuckDBInstance } from "@duckdb/node-api";
import type { DuckDBConnection, DuckDBValue } from "@duckdb/node-api";
import type { Contract } from "@weir/contract";
import { compileProject } from "../compile.ts";
import type { ContractProgram } from "../program.ts";

/** One DuckDB with `lines` and `routes`; every text is a line sent under the contract it is judged by. */
export class SqlJudge {
  readonly connection: DuckDBConnection;

  private constructor(connection: DuckDBConnection) {
    this.connection = connection;
  }

  static async open(): Promise<SqlJudge> {
    const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
    const connection = await instance.connect();
    await connection.run(`SET TimeZone = 'UTC';
      CREATE TABLE lines(_key BIGINT, seg UINTEGER, line UINTEGER, received BIGINT, contract VARCHAR,
        keys INTEGER, nulls INTEGER, error VARCHAR, text VARCHAR);
      CREATE TABLE routes(seg UINTEGER, sent VARCHAR, contract VARCHAR, reason VARCHAR)`);
    return new SqlJudge(connection);
  }

  /** Rows of `rows_<contract>` in the order of the texts, before Ajv has seen any. */
  async rows(contract: Contract, texts: readonly string[]): Promise<Record<string, DuckDBValue>[]> {
    const program = programOf(contract);
    await this.connection.run(`DELETE FROM lines; DELETE FROM routes;
      INSERT INTO routes VALUES (0, 'sent', '${contract.name}', NULL); DROP TABLE IF EXISTS rows_${contract.name}`);
    const appender = await this.connection.createAppender("lines");
    for (const [index, text] of texts.entries()) {
      const members = Object.values(JSON.parse(text) as object);
      appender.appendBigInt(BigInt(index));
      appender.appendUInteger(0);
      appender.appendUInteger(index + 1);
      appender.appendBigInt(1n);
      appender.appendVarchar("sent");
      appender.appendInteger(members.length);
      appender.appendInteger(members.filter((member) => member === null).length);
      appender.appendNull();
      appender.appendVarchar(text);
      appender.endRow();
    }
    appender.closeSync();
    await this.connection.run(program.rows.sql);
    const reader = await this.connection.runAndReadAll(`SELECT * FROM rows_${contract.name} ORDER BY _key`);
    return reader.getRowObjects();
  }

  /** For each text, whether SQL proves that Ajv accepts it. */
  async verdicts(contract: Contract, texts: readonly string[]): Promise<boolean[]> {
    return (await this.rows(contract, texts)).map((row) => row["_ok"] === true);
  }
}

/** The program of a contract in a project of its own. */
export function programOf(contract: Contract): ContractProgram {
  const { contracts } = compileProject({
    name: "p",
    sources: { s: { contracts: [contract] } },
    tables: {},
  });
  const [program] = contracts;
  if (program === undefined) throw new Error("unreachable: the project has a contract");
  return program;
}
