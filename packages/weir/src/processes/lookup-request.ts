import { hash } from "node:crypto";
import { WeirError } from "@weir/contract";
import type { LookupParameters, LookupResult } from "@weir/engine";
import { integer } from "./http-json.ts";
import type { Reply } from "./http-json.ts";

type Columns = Record<string, string | null>;

/**
 * The parameters of a lookup's address. `columns` limits what is given back; a name that is no parameter is that of a
 * key column, `key.NAME` is one whatever it is called, and `null=NAME` stands for a parameter that is NULL.
 *
 * @throws WeirError `invalid_usage`
 */
export function lookupParameters(search: URLSearchParams): LookupParameters {
  const key: string[] = [];
  const select: string[] = [];
  const columns: Columns = {};
  const prefix: Columns = {};
  const single = new Map<string, string>();
  const put = (name: string, value: string | null): void => {
    const isPrefix = name.startsWith("prefix.");
    const [into, column] = isPrefix ? [prefix, name.slice(7)] : [columns, name.replace(/^key\./, "")];
    if (Object.hasOwn(into, column)) throw twice(name);
    into[column] = value;
  };
  for (const [name, value] of search) {
    if (name === "key") key.push(value);
    else if (name === "columns") select.push(...value.split(","));
    else if (name === "null") put(value, null);
    else if (!singles.has(name)) put(name, value);
    else if (single.has(name)) throw twice(name);
    else single.set(name, value);
  }
  const limit = integer("limit", single.get("limit"), Number.MAX_SAFE_INTEGER);
  const minCommit = integer("minCommit", single.get("minCommit"), Number.MAX_SAFE_INTEGER);
  const timeoutMs = integer("timeoutMs", single.get("timeoutMs"), 60_000);
  const [from, to] = [single.get("from"), single.get("to")];
  return {
    ...(key.length === 0 ? {} : { key }),
    ...(select.length === 0 ? {} : { select }),
    ...(Object.keys(columns).length === 0 ? {} : { columns }),
    ...(Object.keys(prefix).length === 0 ? {} : { prefix }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(limit === undefined ? {} : { limit }),
    ...(minCommit === undefined ? {} : { minCommit }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  };
}

const singles = new Set(["from", "to", "limit", "minCommit", "timeoutMs"]);

const twice = (name: string): WeirError =>
  new WeirError("invalid_usage", `The parameter ${name.slice(0, 100)} is given twice.`, {
    remedy: "Give several keys as key=A&key=B.",
  });

/**
 * The rows, or 304 where the client has the same rows, of whatever commit. The tag is
 * `W/"<commit>-<digest of the rows>"`: equal digests are equal rows.
 *
 * @param known the request's If-None-Match
 */
export function rowsReply(known: string | undefined, result: LookupResult): Reply {
  const { table, commit, rows, more } = result;
  const list = Buffer.concat(rows.flatMap((row, i) => (i === 0 ? [row] : [comma, row])));
  const digest = hash("sha1", list, "base64url").slice(0, 22) + (more ? "+" : "");
  const headers = {
    etag: `W/"${commit}-${digest}"`,
    "weir-as-of": commit,
    "cache-control": "private, no-cache",
    "x-content-type-options": "nosniff",
  };
  if (hasTag(known, digest)) return { status: 304, headers, body: Buffer.alloc(0) };
  const body = Buffer.concat([
    Buffer.from(`{"table":${JSON.stringify(table)},"asOf":${commit},"rows":[`),
    list,
    Buffer.from(`],"more":${more}}\n`),
  ]);
  const type = { "content-type": "application/json; charset=utf-8", "content-length": body.length };
  return { status: 200, headers: { ...headers, ...type }, body };
}

const comma = Buffer.from(",");

const hasTag = (header: string | undefined, digest: string): boolean =>
  header !== undefined && [...header.matchAll(/"\d+-([\w+-]+)"/g)].some(([, tag]) => tag === digest);
