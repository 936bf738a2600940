import { readFileSync } from "node:fs";
import type { Erasure, ErasurePlan, ErasureRequest, Identifier } from "@weir/engine";
import { verifyCertificate } from "@weir/govern";
import { WeirError } from "@weir/contract";
import { exitCodes } from "../../exit-code.ts";
import type { ExitCode } from "../../exit-code.ts";
import type { CommonOptions, EraseOptions, EraseVerifyOptions } from "../program.ts";
import { grouped, renderTable } from "../table.ts";
import { result } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";
import { withEngine } from "../with-engine.ts";

/**
 * Erases a person. With --json: the request as `eraseShow` prints it; with --dry-run `{identifiers: [{kind, value, via}], contracts: [{contract,
 * records, of}], zones: [{zone, rows, files}], tables, tooMuch}`.
 */
export async function erase(terminal: Terminal, options: EraseOptions): Promise<ExitCode> {
  const request: ErasureRequest = {
    identifiers: identifiersOf(options),
    ...(options.allowMany === undefined ? {} : { allowMany: options.allowMany }),
  };
  return await withEngine(terminal, options, async (backend) => {
    if (options.dryRun === true) {
      const plan = await backend.planErasure(request);
      result(terminal, plan, () => planText(terminal, plan));
      return exitCodes.ok;
    }
    const done = await backend.erase(request);
    result(terminal, done, () => erasureText(terminal, done));
    return exitCodes.ok;
  });
}

/** @throws WeirError `invalid_usage` */
function identifiersOf({ email = [], id = [], subject = [] }: EraseOptions): Identifier[] {
  const byKind = id.map((text) => {
    const [, kind, value] = /^([^=]+)=(.+)$/s.exec(text) ?? [];
    if (kind !== undefined && value !== undefined) return { kind, value };
    throw new WeirError("invalid_usage", "--id takes a kind and a value: --id user_id=42.");
  });
  const all = [
    ...email.map((value) => ({ kind: "email", value })),
    ...byKind,
    ...subject.map((value) => ({ value })),
  ];
  if (all.length > 0) return all;
  throw new WeirError("invalid_usage", "Nobody is named.", {
    remedy: "Give --email, --id or --subject; weir erase --help shows how.",
  });
}

function planText(
  terminal: Terminal,
  { identifiers, contracts, zones, tables, tooMuch }: ErasurePlan,
): string {
  const found = identifiers.map(({ kind, value, via }) => [kind, value, via]);
  const records = contracts.map(({ contract, records: n, of }) => [
    contract,
    `${grouped(n)} of ${grouped(of)}`,
  ]);
  const files = zones.map(({ zone, rows, files: n }) => [zone, grouped(rows), grouped(n)]);
  return [
    renderTable(terminal, ["KIND", "IDENTIFIER", "FOUND BY"], found),
    ...(records.length === 0
      ? ["", "No loaded records."]
      : ["", renderTable(terminal, ["CONTRACT", "RECORDS"], records)]),
    ...(files.length === 0
      ? []
      : ["", renderTable(terminal, ["ZONE", "ROWS", "FILES TO WRITE ANEW"], files)]),
    ...(tables.length === 0 ? [] : ["", `tables: ${tables.join(", ")}`]),
    ...tooMuch.map((what) => `\nToo much without --allow-many: ${what}.`),
  ].join("\n");
}

function erasureText(terminal: Terminal, erasure: Erasure): string {
  const { id, state, receivedAt, deadlineAt, commit, liftedAt, evidence } = erasure;
  const facts: [string, string | null][] = [
    ["id", id],
    ["state", state],
    ["received", receivedAt],
    ["deadline", deadlineAt],
    ["commit", commit === null ? null : String(commit)],
    ["lifted", liftedAt],
    ["left", remainingText(erasure)],
  ];
  const head = facts.flatMap(([name, value]) => (value === null ? [] : [`${name.padEnd(9)} ${value}`]));
  if (evidence === null) return head.join("\n");
  const zones = Object.entries(evidence.zones).map(([zone, rows]) => [
    zone,
    grouped(rows),
    grouped(evidence.files[zone] ?? 0),
  ]);
  const { vault } = evidence;
  const tables = evidence.tables.map(({ table, before, after }) => [table, grouped(before), grouped(after)]);
  return [
    ...head,
    ...(zones.length === 0
      ? [
          "",
          "Nothing was there: mind how the identifiers are written. Records that have them are kept out from now on.",
        ]
      : ["", renderTable(terminal, ["ZONE", "ROWS ERASED", "FILES REPLACED"], zones)]),
    ...(vault === undefined
      ? []
      : [
          "",
          `vault: ${grouped(vault.keys)} keys, ${grouped(vault.tokens)} tokens and ${grouped(vault.ciphertexts)} values destroyed`,
        ]),
    ...(tables.length === 0
      ? []
      : ["", renderTable(terminal, ["TABLE", "ROWS BEFORE", "ROWS AFTER"], tables)]),
  ].join("\n");
}

function remainingText({ state, remaining }: Erasure): string | null {
  if (state === "requested" || state === "refused") return null;
  const { files, segments, logUntil, stateFile } = remaining;
  const parts = [
    ...(files === 0 ? [] : [`${files} replaced files, until their readers end`]),
    ...(segments === 0 ? [] : [`${segments} segments of the log, until ${logUntil}`]),
    ...(stateFile ? ["deleted rows in the state file, until the next start"] : []),
  ];
  return parts.length === 0 ? "nothing" : parts.join("; ");
}

/** Lists requests, oldest first. With --json: `{erasures: [...]}`, each as `eraseShow` prints it, without the certificate. */
export async function eraseList(terminal: Terminal, options: CommonOptions): Promise<ExitCode> {
  const erasures = await withEngine(terminal, options, (backend) => backend.erasures());
  result(terminal, { erasures }, () => {
    if (erasures.length === 0) return "No requests.";
    const rows = erasures.map((one) => [
      one.id,
      one.liftedAt === null ? one.state : `${one.state}, lifted`,
      one.receivedAt,
      one.deadlineAt,
      remainingText(one),
    ]);
    return renderTable(terminal, ["ID", "STATE", "RECEIVED", "DEADLINE", "LEFT"], rows);
  });
  return exitCodes.ok;
}

/** With --json: `{id, asked, state, receivedAt, deadlineAt, commit, erasedAt, liftedAt, evidence, remaining, certificate}`. */
export async function eraseShow(terminal: Terminal, id: string, options: CommonOptions): Promise<ExitCode> {
  const found = await withEngine(terminal, options, (backend) => backend.erasure(id));
  result(terminal, found, () => erasureText(terminal, found));
  return exitCodes.ok;
}

/** Takes records of the person again. With --json: as `eraseShow`. */
export async function eraseLift(terminal: Terminal, id: string, options: CommonOptions): Promise<ExitCode> {
  const found = await withEngine(terminal, options, (backend) => backend.liftErasure(id));
  result(
    terminal,
    found,
    () => `Records of the person of ${id} are taken again. What was erased does not come back.`,
  );
  return exitCodes.ok;
}

/** Prints the certificate, which is JSON in any case. */
export async function eraseCertificate(
  terminal: Terminal,
  id: string,
  options: CommonOptions,
): Promise<ExitCode> {
  const { state, certificate } = await withEngine(terminal, options, (backend) => backend.erasure(id));
  if (certificate === null)
    throw new WeirError("not_found", `Nothing is erased yet: the request is ${state}.`, {
      where: id,
      remedy: "weir erase show tells how far it is.",
    });
  terminal.out(JSON.stringify(certificate, null, 2));
  return exitCodes.ok;
}

/** Checks a certificate. With --json: `{ok, problem, number, subject, state, issuedAt, key}`. Exit code 1 if it does not hold. */
export async function eraseVerify(
  terminal: Terminal,
  file: string,
  { after, key }: EraseVerifyOptions,
): Promise<ExitCode> {
  const before = after === undefined ? undefined : textOf(after);
  const found = verifyCertificate(textOf(file), file, before);
  const isOther = key !== undefined && found.key !== key.toLowerCase();
  const verdict =
    found.ok && isOther ? { ...found, ok: false, problem: "It is signed with another key." } : found;
  result(terminal, verdict, () => {
    if (!verdict.ok) return `The certificate does not hold: ${verdict.problem}`;
    const { number, subject, state, issuedAt } = verdict;
    return `Certificate ${number} of ${issuedAt} holds: ${subject} is ${state}.\nSigned with the key ${verdict.key}.`;
  });
  return await Promise.resolve(verdict.ok ? exitCodes.ok : exitCodes.failed);
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new WeirError("not_found", "The file cannot be read.", {
      where: path,
      remedy: "Name a file that weir erase certificate printed.",
      cause,
    });
  }
}
