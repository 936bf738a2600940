import type { Program } from "@weir/compile";
import { text } from "@weir/compile";
import { WeirError } from "@weir/contract";
import { failpoint } from "@weir/log";
import type { Sql } from "../database.ts";
import type { IdIndex } from "../ids/id-index.ts";
import type { Lake } from "../lake.ts";
import { reachedTables } from "../merge.ts";
import type { RemovedHistory } from "../removed-history.ts";
import { destroyPending } from "./destroy.ts";
import type { Vault } from "../privacy/vault.ts";
import type { ReplacedFiles } from "../replaced-files.ts";
import { forgetBeside } from "../shadow/swap.ts";
import { RewrittenFiles } from "./files.ts";
import { FoundRows } from "./find.ts";
import { resolveIdentifiers } from "./identifiers.ts";
import type { FoundIdentifier } from "./identifiers.ts";
import {
  addRequest,
  openRequests,
  readErasure,
  readErasures,
  recordErased,
  refuseRequest,
  settlePending,
} from "./ledger.ts";
import type { Erasure, ErasureEvidence, ErasureRequest, OpenRequest } from "./ledger.ts";
import { idHash, wordHash } from "./schema.ts";
import { smallContract } from "./settings.ts";
import type { ErasureSettings } from "./settings.ts";
import { rememberFields } from "./suppression.ts";
import type { Suppression } from "./suppression.ts";
import { copyRemoved, takeOut } from "./take-out.ts";
import type { TakenOut } from "./take-out.ts";
import { isLookedFor, isLookedForSql } from "./words.ts";

/** What an erasure would reach, with the identifiers in the clear. */
export interface ErasurePlan {
  readonly identifiers: readonly FoundIdentifier[];
  readonly contracts: readonly {
    readonly contract: string;
    readonly records: number;
    readonly of: number;
  }[];
  /** Rows and files of each zone. */
  readonly zones: readonly { readonly zone: string; readonly rows: number; readonly files: number }[];
  /** Tables that are brought up to date. */
  readonly tables: readonly string[];
  /** What is more than the limits allow. */
  readonly tooMuch: readonly string[];
}

/** What the engine does for erasures. */
export interface ErasureHost {
  /** Runs a step that writes state, when no other does. */
  exclusive(step: () => Promise<void>): Promise<void>;
  /**
   * Runs work as a commit of its own: when no batch is planned that is not committed, and none is staged meanwhile. When it
   * throws, nothing was committed.
   */
  alone(work: (commit: number) => Promise<void>): Promise<void>;
  /** Removes what tasks had beside the live tables; those that were at it end. */
  sweepTasks(): Promise<void>;
  inLog(source: string, writer: string, number: number): boolean;
  readonly index: IdIndex;
}

/** Shares of the time until the deadline at which an operator hears of a request that is not complete. */
const toldShares = [0.5, 0.8, 1];
/** However many are allowed: what an id index takes at a time. */
const mostRecords = 1_000_000;

/**
 * Erases persons, one request at a time, each in one commit.
 *
 * A request is noted first. Then its rows are looked for, and the files that have any are written without them, while batches
 * commit. Then, alone: what came meanwhile is looked at, and one transaction lists the new files, takes the rows out of every table, counts
 * them as suppressed, and notes whom to keep out from now on. So batches before it are erased, and batches after it are
 * staged with the person suppressed.
 *
 * Crash points: before COMMIT the request is there and nothing is erased: the next start begins anew, and sweeps the files
 * that were written. After it, all of it is; what is left on disk is in `pending` (see ledger.ts).
 */
export class Erasures {
  readonly #sql: Sql;
  readonly #program: Program;
  readonly #lake: Lake;
  readonly #settings: ErasureSettings;
  readonly #suppression: Suppression;
  readonly #replaced: ReplacedFiles;
  readonly #history: RemovedHistory;
  readonly #host: ErasureHost;
  readonly #vault: Vault | undefined;
  readonly #found: FoundRows;
  /** One after the other: all of them use the connection's tables. */
  #turn: Promise<unknown> = Promise.resolve();
  #busy = 0;
  #stopping = false;
  #restartTold = false;
  /** Of which share of its time was told, by request. */
  readonly #told = new Map<string, number>();

  /** @param sql a connection of its own, with the salts of hashes */
  constructor(parts: {
    sql: Sql;
    program: Program;
    lake: Lake;
    settings: ErasureSettings;
    suppression: Suppression;
    replaced: ReplacedFiles;
    history: RemovedHistory;
    vault: Vault | undefined;
    host: ErasureHost;
  }) {
    this.#sql = parts.sql;
    this.#program = parts.program;
    this.#lake = parts.lake;
    this.#settings = parts.settings;
    this.#suppression = parts.suppression;
    this.#replaced = parts.replaced;
    this.#history = parts.history;
    this.#host = parts.host;
    this.#vault = parts.vault;
    this.#found = new FoundRows(parts.sql, parts.lake, parts.program, parts.vault);
  }

  /** What a request would reach. @throws WeirError `erasure_invalid`, `erasure_too_large` */
  plan(request: ErasureRequest): Promise<ErasurePlan> {
    return this.#inTurn(() => this.#plan(request));
  }

  /**
   * Erases a person. The same request again gives the erasure that there is, unless there is something to erase again.
   *
   * @throws WeirError `erasure_invalid`, `erasure_too_large`, `erasure_blocked`
   */
  erase(request: ErasureRequest): Promise<Erasure> {
    return this.#inTurn(async () => {
      const plan = await this.#plan(request);
      const asked = await this.#askedHash();
      const [before] = (
        await readErasures(
          this.#sql,
          this.#settings.logRetentionMs,
          `asked = ${text(asked)} AND state <> 'refused'`,
        )
      ).slice(-1);
      const isNothing = plan.zones.every(({ rows }) => rows === 0);
      if (before !== undefined && before.state !== "requested" && before.liftedAt === null && isNothing)
        return before;
      this.#refuseTooMuch(plan, request);
      let open: OpenRequest | undefined;
      await this.#host.exclusive(async () => {
        open = (await openRequests(this.#sql)).find(({ number }) => `e${number}` === before?.id);
        open ??= await addRequest(this.#sql, request, asked, Date.now(), this.#settings.deadlineMs);
      });
      failpoint("engine.erase.requested");
      if (open === undefined) throw new Error("unreachable: the request was noted");
      await this.#execute(open);
      return await this.#read(`e${open.number}`);
    });
  }

  list(): Promise<Erasure[]> {
    return this.#inTurn(() => readErasures(this.#sql, this.#settings.logRetentionMs));
  }

  /** @throws WeirError `not_found` */
  show(id: string): Promise<Erasure> {
    return this.#inTurn(() => this.#read(id));
  }

  /** Takes records of the person again. What was erased does not come back. @throws WeirError `not_found` */
  lift(id: string): Promise<Erasure> {
    return this.#inTurn(async () => {
      const { id: known } = await this.#read(id);
      const number = known.slice(1);
      await this.#host.exclusive(async () => {
        await this.#sql.run(`BEGIN;
          DELETE FROM db.privacy.suppressed WHERE erasure = ${number};
          UPDATE db.privacy.erasures SET lifted_at = coalesce(lifted_at, make_timestamp(${Date.now() * 1000})) WHERE number = ${number};
          COMMIT`);
        await this.#suppression.read(this.#sql);
      });
      return await this.#read(id);
    });
  }

  /**
   * Goes on with requests that an earlier process left.
   *
   * @param failed hears of what could not be done: it stays for the next start, and the others go on
   */
  async resume(failed: (error: unknown) => void): Promise<void> {
    await this.#inTurn(async () => {
      await this.#destroy();
      for (const open of await openRequests(this.#sql)) {
        if (this.#stopping) return;
        await this.#execute(open).catch(failed);
      }
    }).catch(failed);
  }

  /** Ends what is in work, once nothing commits any more; the next start goes on with requests that are noted. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#sql.interrupt(this.#turn);
  }

  /** Notes what is gone from disk since. Gives the ids of requests that are complete with it; none while one is in work. */
  async settle(): Promise<string[]> {
    if (this.#busy > 0) return [];
    return await this.#inTurn(async () => {
      let complete: string[] = [];
      const waiting = await this.#sql.rows(
        "SELECT 1 AS one FROM db.privacy.erasures WHERE state = 'erased' LIMIT 1",
      );
      if (waiting.length === 0) return complete;
      await this.#host.exclusive(async () => {
        complete = await settlePending(this.#sql, this.#lake, (source, writer, number) =>
          this.#host.inLog(source, writer, number),
        );
      });
      return complete;
    });
  }

  /** Whether the state file has had bytes of what was erased for so long that it should be written anew, by a restart. Says so once. */
  async restartDue(nowMs: number): Promise<boolean> {
    if (this.#busy > 0 || this.#restartTold) return false;
    const erased = (await this.list()).filter(({ remaining }) => remaining.stateFile);
    const since = Math.min(...erased.map(({ erasedAt }) => Date.parse(erasedAt ?? "")));
    this.#restartTold = nowMs - since >= this.#settings.rewriteAfterMs;
    return this.#restartTold;
  }

  /** Requests that are not complete and of whose time a half, four fifths or all has passed since this was asked last. */
  async late(nowMs: number): Promise<{ readonly id: string; readonly share: number }[]> {
    if (this.#busy > 0) return [];
    const open = (await this.list()).filter(({ state }) => state === "requested" || state === "erased");
    const late = open.flatMap(({ id, receivedAt, deadlineAt }) => {
      const from = Date.parse(receivedAt);
      const share = (nowMs - from) / (Date.parse(deadlineAt) - from);
      const passed = toldShares.findLast((one) => share >= one) ?? 0;
      if (passed <= (this.#told.get(id) ?? 0)) return [];
      this.#told.set(id, passed);
      return [{ id, share: passed }];
    });
    return late;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.#busy++;
    const holding = async (): Promise<T> => {
      if (this.#stopping) throw stops();
      const release = this.#replaced.hold();
      try {
        return await work();
      } catch (error) {
        const isInterrupted = error instanceof WeirError && error.code === "engine_statement_failed";
        throw this.#stopping && isInterrupted ? stops(error) : error;
      } finally {
        release();
      }
    };
    const done = this.#turn.then(holding).finally(() => this.#busy--);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  #read(id: string): Promise<Erasure> {
    return readErasure(this.#sql, this.#settings.logRetentionMs, id);
  }

  /** Leaves `erase_ids` and `erase_found`. */
  async #plan({ identifiers }: ErasureRequest): Promise<ErasurePlan> {
    const found = await resolveIdentifiers(this.#sql, this.#program, identifiers, this.#vault);
    await this.#found.clear();
    await this.#found.look();
    return await this.#summary(found);
  }

  async #summary(identifiers: readonly FoundIdentifier[]): Promise<ErasurePlan> {
    const contracts = await this.#sql.rows<{ contract: string; records: number; of: number }>(
      `SELECT e.name AS contract, e.records, (SELECT coalesce(sum(c.loaded), 0) FROM db.weir.counts c WHERE c.contract = e.name)::DOUBLE AS "of"
       FROM (SELECT name, count(*)::DOUBLE AS records FROM erase_found WHERE zone = 'clean' GROUP BY name) e ORDER BY 1`,
    );
    const zones = await this.#sql.rows<{ zone: string; rows: number; files: number }>(
      `SELECT zone, count(*)::DOUBLE AS "rows", count(DISTINCT path)::DOUBLE AS files FROM erase_found GROUP BY zone ORDER BY zone`,
    );
    const names = new Set(contracts.map(({ contract }) => contract));
    const tables = reachedTables(this.#program, ({ from }) => from.some((name) => names.has(name)));
    const settings = this.#settings;
    // Of removed records nothing is found: whether tables have something of the person from them nobody can tell.
    const personal = this.#program.subjects.map(({ contract }) => contract);
    const lost = new Set([...names, ...this.#history.lostBy({ from: personal })]);
    const shortened = reachedTables(this.#program, ({ from }) => from.some((name) => lost.has(name))).filter(
      (table) => this.#history.lostBy(table).length > 0,
    );
    const reached = await this.#sql.row<{ records: number; quarantined: number; of: number }>(
      `SELECT (SELECT count(*) FROM (SELECT DISTINCT source, writer, number, line FROM erase_found))::DOUBLE AS records,
         (SELECT count(*) FROM erase_found WHERE zone = 'quarantine')::DOUBLE AS quarantined,
         (SELECT coalesce(sum("rows"), 0) FROM db.weir.files WHERE zone = 'quarantine')::DOUBLE AS "of"`,
    );
    const { records } = reached;
    const tooMuch = [
      ...(identifiers.length > settings.identifiers
        ? [`${identifiers.length} identifiers, more than ${settings.identifiers}`]
        : []),
      ...(records > settings.records ? [`${records} records, more than ${settings.records}`] : []),
      ...(shortened.length > 0
        ? [
            `groups of ${shortened.map(({ name }) => name).join(", ")} that have records which retention removed, and would be computed without them`,
          ]
        : []),
      ...[...contracts, { contract: "the quarantine", records: reached.quarantined, of: reached.of }]
        .filter((one) => one.of >= smallContract && one.records > one.of * settings.share)
        .map(
          (one) =>
            `${one.records} of ${one.of} records of ${one.contract}, more than ${settings.share * 100} %`,
        ),
    ];
    return { identifiers, contracts, zones, tables: tables.map(({ name }) => name), tooMuch };
  }

  /** @throws WeirError `erasure_too_large` */
  #refuseTooMuch({ tooMuch, contracts }: ErasurePlan, { allowMany }: ErasureRequest): void {
    const records = contracts.reduce((sum, one) => sum + one.records, 0);
    if (records > mostRecords) {
      throw new WeirError(
        "erasure_too_large",
        `It reaches ${records} records; ${mostRecords} can go at a time.`,
        {
          remedy: "Erase by identifiers that name fewer records.",
        },
      );
    }
    if (tooMuch.length === 0 || allowMany !== undefined) return;
    throw new WeirError("erasure_too_large", `It reaches ${tooMuch.join("; ")}. Nothing was erased.`);
  }

  async #askedHash(): Promise<string> {
    const { asked } = await this.#sql.row<{ asked: string }>(
      `SELECT md5(string_agg(h, '' ORDER BY h)) AS asked FROM (
         SELECT ${idHash("kind", "value")}::VARCHAR AS h FROM erase_ids WHERE via = 'request')`,
    );
    return asked;
  }

  async #execute({ number, request }: OpenRequest): Promise<void> {
    const early = await this.#plan(request);
    const files = new RewrittenFiles(this.#sql, this.#lake);
    try {
      await files.write();
      await this.#host.alone(async (commit) => {
        const identifiers = await resolveIdentifiers(
          this.#sql,
          this.#program,
          request.identifiers,
          this.#vault,
        );
        if (namesOf(identifiers) !== namesOf(early.identifiers)) await this.#found.clear();
        await this.#found.look();
        this.#refuseTooMuch(await this.#summary(identifiers), request);
        const losing = await copyRemoved(this.#sql, { program: this.#program, lake: this.#lake });
        await files.write();
        await this.#commit(number, request, commit, identifiers, losing, files);
      });
      await this.#host.sweepTasks();
    } catch (error) {
      files.discard();
      const isRefused = error instanceof WeirError && error.code === "erasure_too_large";
      if (isRefused) await this.#host.exclusive(() => refuseRequest(this.#sql, number));
      throw error;
    }
    await this.#destroy();
  }

  /** What the vault has of erased persons. */
  async #destroy(): Promise<void> {
    await destroyPending(this.#sql, this.#vault, (step) => this.#host.exclusive(step));
  }

  async #commit(
    number: number,
    request: ErasureRequest,
    commit: number,
    identifiers: readonly FoundIdentifier[],
    losing: Awaited<ReturnType<typeof copyRemoved>>,
    files: RewrittenFiles,
  ): Promise<void> {
    const sql = this.#sql;
    const context = { program: this.#program, lake: this.#lake };
    await sql.run(`SET VARIABLE weir_commit = ${commit}::UBIGINT;
      SET VARIABLE weir_newest_us = (SELECT coalesce(max(newest_received_us), 0)::BIGINT FROM db.weir.commits);
      BEGIN`);
    let replaced: readonly string[];
    let freed: Record<string, number>[];
    try {
      const out = await takeOut(sql, context, commit, losing, files);
      replaced = out.replaced;
      await sql.run(`INSERT INTO db.privacy.suppressed SELECT ${number}, ${idHash("kind", "value")},
        CASE WHEN ${isLookedForSql("value", this.#suppression.declared)} THEN ${wordHash("value")} END FROM erase_ids WHERE token IS NULL`);
      await recordErased(
        sql,
        number,
        commit,
        evidenceOf(out.taken, identifiers, request, this.#suppression.declared),
        replaced,
      );
      await rememberFields(sql, this.#program);
      freed = await sql.rows(
        `SELECT h0::DOUBLE AS h0, h1::DOUBLE AS h1, h2::DOUBLE AS h2, h3::DOUBLE AS h3 FROM db.weir.id_recent WHERE "commit" = ${commit}`,
      );
      await forgetBeside(sql, "Records of a person were erased meanwhile. Ask for it again.");
      failpoint("engine.erase.before_commit");
      await sql.run("COMMIT");
    } catch (error) {
      await sql.run("ROLLBACK").catch(() => undefined);
      throw error;
    }
    failpoint("engine.erase.after_commit");
    for (const { h0 = 0, h1 = 0, h2 = 0, h3 = 0 } of freed) this.#host.index.forget(h0, h1, h2, h3);
    this.#replaced.add(replaced, Date.now());
    this.#suppression.added();
  }
}

const stops = (cause?: unknown): WeirError =>
  new WeirError("engine_unavailable", "The engine stops.", { cause });

/** To know whether identifiers are the same ones. */
const namesOf = (identifiers: readonly FoundIdentifier[]): string =>
  JSON.stringify(identifiers.map(({ kind, value }) => `${kind}=${value}`).toSorted());

function evidenceOf(
  taken: TakenOut,
  identifiers: readonly FoundIdentifier[],
  { allowMany }: ErasureRequest,
  declared: ReadonlySet<string>,
): ErasureEvidence {
  const groups = new Map<string, { kind: string; via: string; count: number }>();
  for (const { kind, via } of identifiers) {
    const key = `${kind}\n${via}`;
    const group = groups.get(key) ?? { kind, via, count: 0 };
    groups.set(key, { ...group, count: group.count + 1 });
  }
  return {
    ...taken,
    identifiers: [...groups.values()],
    tooShortForTexts: identifiers.filter(({ value }) => !isLookedFor(value, declared)).length,
    allowedBecause: allowMany ?? null,
  };
}
