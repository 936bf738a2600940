import type { ContractProgram } from "@weir/compile";
import { jsonPointer, parsePointer } from "@weir/contract";
import { eachRow } from "../each-row.ts";
import { isObjectText } from "../raw-json.ts";
import type { Staging } from "./assign.ts";
import { maskText } from "./detect.ts";
import { rewrittenAt } from "./rewrite.ts";
import type { Vault } from "./vault.ts";

/**
 * Seals records that failed, as they have personal values at places that nobody knows: their text or bytes, what an error's detail
 * says of them, and what violations found. Reasons, pointers and keywords stay readable; names in a pointer are the sender's where
 * nobody declared them, and searched like free text.
 */
export async function sealRejected(
  { sql, schema }: Staging,
  vault: Vault,
  contracts: readonly ContractProgram[],
): Promise<void> {
  await sql.run("CREATE TABLE IF NOT EXISTS rejects (_key BIGINT, contract VARCHAR, violations VARCHAR)");
  const failed = `FROM lines l
    LEFT JOIN routes r ON l.error IS NULL AND r.seg = l.seg AND r.sent IS NOT DISTINCT FROM l.contract
    LEFT JOIN rejects j ON j._key = l._key WHERE l.error IS NOT NULL OR r.reason IS NOT NULL OR j._key IS NOT NULL`;
  const { n } = await sql.row<{ n: number }>(`SELECT count(*)::DOUBLE AS n ${failed}`);
  if (n === 0) return;
  const seal = await vault.sealer(new Date().toISOString().slice(0, 10));
  const codes = codeFields(contracts);
  const everyCode = [...codes.values()].flat();
  const rows = await sql.held(`SELECT l._key, l.text, l.error, j.violations, r.contract ${failed}`);
  const appender = await sql.connection.createAppender("sealed", schema, "memory");
  await eachRow(rows, (value) => {
    const [text, error, violations, contract] = [1, 2, 3, 4].map((i) => value(i) as string | null);
    let kept = text ?? "";
    const paths = contract === null ? everyCode : (codes.get(contract ?? "") ?? []);
    if (isObjectText(kept)) for (const path of paths) kept = rewrittenAt(kept, path, ' "***"');
    appender.appendBigInt(value(0) as bigint);
    appender.appendVarchar(seal(kept));
    for (const part of [
      error === null || error === undefined ? null : sealedDetail(error, seal),
      violations === null || violations === undefined ? null : sealedFindings(violations, paths, seal),
    ]) {
      if (part === null) appender.appendNull();
      else appender.appendVarchar(part);
    }
    appender.endRow();
  });
  appender.closeSync();
  await sql.run(
    "UPDATE rejects SET violations = s.violations FROM sealed s WHERE s._key = rejects._key AND s.violations IS NOT NULL",
  );
}

/** Where contracts have security codes of cards: nothing may keep them, sealed or not. What no contract takes may be a record of any. */
function codeFields(contracts: readonly ContractProgram[]): Map<string, readonly (readonly string[])[]> {
  return new Map(
    contracts.map(({ contract, model }) => [
      contract.name,
      model.tagged.filter(({ tag }) => tag === "cvv").map(({ path }) => path),
    ]),
  );
}

function sealedDetail(error: string, seal: (plain: string) => string): string {
  const at = error.indexOf(": ");
  return at < 0 ? error : `${error.slice(0, at + 2)}${seal(error.slice(at + 2))}`;
}

interface Found {
  readonly pointer: string;
  readonly keyword: string;
  readonly expected: string;
  readonly found: string;
  readonly message: string;
}

function sealedFindings(
  violations: string,
  codes: readonly (readonly string[])[],
  seal: (plain: string) => string,
): string {
  const pointers = codes.map((path) =>
    path.map((name) => `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`).join(""),
  );
  // What was found at an object has what is in it.
  const hasCode = (pointer: string): boolean =>
    pointers.some((code) => code === pointer || code.startsWith(`${pointer}/`));
  const sealed = (JSON.parse(violations) as Found[]).map((one) => {
    const pointer = maskedPointer(one.pointer);
    const place = pointer === "" ? "The record" : pointer;
    if (one.found === "")
      return pointer === one.pointer ? one : { ...one, pointer, message: `${place} is missing.` };
    return {
      ...one,
      pointer,
      found: hasCode(one.pointer) ? "***" : seal(one.found),
      message: `${place} breaks ${one.keyword} ${one.expected}.`,
    };
  });
  return JSON.stringify(sealed);
}

const maskedPointer = (pointer: string): string => jsonPointer((parsePointer(pointer) ?? []).map(maskText));
