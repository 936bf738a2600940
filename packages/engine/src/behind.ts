import { text } from "@weir/compile";
import type { LogStore } from "@weir/log";
import type { Database } from "./database.ts";

/** The last commit, and whether it lacks segments that were in the log when `heads` were read. */
export async function behind(
  database: Database,
  heads: Awaited<ReturnType<LogStore["heads"]>>,
): Promise<{ commit: number; behind: boolean }> {
  const sql = await database.connect();
  try {
    const offsets = await sql.rows<{ source: string; writer: string; number: number }>(
      "SELECT source, writer, number::DOUBLE AS number FROM db.weir.offsets",
    );
    const { commit } = await sql.row<{ commit: number }>(
      `SELECT coalesce(max("commit"), 0)::DOUBLE AS "commit" FROM db.weir.commits`,
    );
    const reached = new Map(offsets.map(({ source, writer, number }) => [`${source}/${writer}`, number]));
    const lacks = heads.some(({ source, writer, sealed, open }) => {
      const offset = reached.get(`${source}/${writer}`) ?? 0;
      return offset < Math.max(sealed, open ?? 0);
    });
    return { commit, behind: lacks };
  } finally {
    sql.close();
  }
}

/** The last segment of a stream that is committed; 0 if none is. */
export async function committedSegment(database: Database, source: string, writer: string): Promise<number> {
  const sql = await database.connect();
  try {
    const { number } = await sql.row<{ number: number }>(
      `SELECT coalesce(max(number), 0)::DOUBLE AS number FROM db.weir.offsets WHERE source = ${text(source)} AND writer = ${text(writer)}`,
    );
    return number;
  } finally {
    sql.close();
  }
}
