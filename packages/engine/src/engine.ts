import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { WeirError } from "@weir/contract";
import { failpoint } from "@weir/log";
import { AccessViews } from "./access-views.ts";
import { behind, committedSegment } from "./behind.ts";
import { checkProgram } from "./check-program.ts";
import type { ChangePosition } from "./changes/position.ts";
import { forgetGone, prepareChanges } from "./changes/gone.ts";
import type { TableChanges } from "./changes/read-changes.ts";
import { BackfillShares } from "./backfill-shares.ts";
import { commitBatch } from "./commit.ts";
import { Commits, forgetCommitCounts } from "./commits.ts";
import type { Committed } from "./commit.ts";
import { checkColumns } from "./contract-columns.ts";
import { Database } from "./database.ts";
import type { Sql } from "./database.ts";
import { engineError } from "./engine-error.ts";
import { settingsOf } from "./engine-options.ts";
import type { EngineOptions, EngineParts } from "./engine-options.ts";
import { withDeclaredBefore } from "./erase/declared.ts";
import { Erasures } from "./erase/erasures.ts";
import { resolveErasure } from "./erase/settings.ts";
import { Suppression } from "./erase/suppression.ts";
import { IdStore } from "./ids/id-store.ts";
import { LakeUpkeep } from "./lake-upkeep.ts";
import { Lake } from "./lake.ts";
import { Planner } from "./planner.ts";
import { openVault } from "./privacy/open-vault.ts";
import type { Vault } from "./privacy/vault.ts";
import { Quarantine } from "./quarantine.ts";
import { Queries } from "./query.ts";
import type { QueryOptions, QueryResult, QuerySink } from "./query.ts";
import { RemovedHistory } from "./removed-history.ts";
import { ReplacedFiles } from "./replaced-files.ts";
import { LogRetention } from "./retention.ts";
import { prepareSchema, prepareStaging } from "./schema.ts";
import type { Salts } from "./schema.ts";
import type { LookupParameters } from "./serve/lookup.ts";
import { Serving } from "./serve/serving.ts";
import type { LookupResult } from "./serve/serving.ts";
import type { ResolvedSettings } from "./settings.ts";
import { Snapshots } from "./snapshots.ts";
import { stageBatch } from "./stage.ts";
import type { StageContext, StagedBatch } from "./stage.ts";
import { Throughput, lagOf, readStatus } from "./status.ts";
import type { EngineStatus } from "./status.ts";
import { prepareTables } from "./tables.ts";
import { AskedCommits } from "./tasks/asked-commits.ts";
import type { TaskHost, TaskParts } from "./tasks/runner.ts";
import { Tasks } from "./tasks/tasks.ts";
import { traceRecord } from "./trace.ts";
import type { Traced } from "./trace.ts";
import { verifyState } from "./verify.ts";
import type { VerifyReport } from "./verify.ts";
import { createViews } from "./views.ts";

const idleMs = 25;
const forgetEveryMs = 3_600_000;

/**
 * Runs a program over the log: plans batches, stages and commits them, and answers questions about what is committed.
 *
 * Several batches are in work at a time: one commits while the next ones are staged (see stage.ts and commit.ts), each
 * on one thread. One process has the state file open; it holds every table, so every reader asks the engine.
 */
export class Engine {
  readonly #options: EngineOptions;
  readonly #upkeepEveryMs: number;
  readonly #database: Database;
  readonly #lake: Lake;
  readonly #planner: Planner;
  readonly #ids: IdStore;
  readonly #retention: LogRetention;
  readonly #lakeUpkeep: LakeUpkeep;
  readonly #history: RemovedHistory;
  readonly access: AccessViews;
  /** Connections that stage batches, those of batches in work taken out. */
  readonly #lanes: Sql[];
  /** Batches in work, so that none outlives the engine. */
  readonly #staging = new Set<Promise<unknown>>();
  readonly #commitSql: Sql;
  /** Tables that are set aside, and why. */
  readonly #aside: Map<string, string>;
  readonly #throughput = new Throughput();
  readonly #snapshots: Snapshots;
  readonly #queries: Queries;
  readonly #serving: Serving;
  readonly #changesKeptMs: number;
  readonly #salts: Salts;
  readonly #suppression: Suppression;
  readonly #taskParts: TaskParts;
  readonly #failed: Promise<WeirError>;
  #fail: (error: WeirError) => void = () => undefined;
  readonly quarantine: Quarantine;
  /** What operators asked for that takes longer than a request. */
  readonly tasks: Tasks;
  readonly #asked: AskedCommits;
  readonly erasures: Erasures;
  /** Where the values behind tokens are; undefined where there never was a personal field. */
  readonly vault: Vault | undefined;
  /** The number of the last commit, and how to wait for the next. */
  readonly commits: Commits;
  #loop: Promise<void> | undefined;
  #stopping = false;
  #hurry = 0;
  /** The chain of things that write state: commits and upkeep, one after the other. */
  #writing: Promise<unknown> = Promise.resolve();
  /** Why a commit or upkeep failed; ends the loop, also when no record comes any more. */
  #broken: WeirError | undefined;
  #upkeepAt = 0;
  #forgotAt = 0;

  private constructor(parts: EngineParts) {
    this.#options = parts.options;
    this.#upkeepEveryMs = parts.upkeepEveryMs;
    this.#database = parts.database;
    this.#lake = parts.lake;
    this.#planner = parts.planner;
    this.#ids = parts.ids;
    this.#retention = parts.retention;
    this.#lakeUpkeep = parts.upkeep;
    this.#history = parts.history;
    this.access = parts.access;
    this.#lanes = parts.lanes;
    this.#commitSql = parts.commitSql;
    this.#aside = parts.aside;
    this.#snapshots = parts.snapshots;
    this.#queries = new Queries(parts.snapshots, parts.access);
    this.#serving = parts.serving;
    this.#changesKeptMs = parts.changesKeptMs;
    this.#salts = parts.salts;
    this.#suppression = parts.suppression;
    this.#taskParts = parts.task;
    this.commits = parts.commits;
    this.vault = parts.vault;
    this.quarantine = new Quarantine(this.#queries);
    this.tasks = new Tasks(this.#taskHost(), parts.task.sql, parts.task.chunkRows, () => this.start());
    this.#failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
    this.#asked = new AskedCommits((staged) => this.#commit(staged), this.#failed);
    this.erasures = new Erasures({
      ...parts.erasures,
      host: {
        exclusive: this.#exclusive,
        alone: (work) => this.#commitOwn(work),
        sweepTasks: () => this.tasks.sweepRebuilds(),
        inLog: (...segment) => this.#retention.has(...segment),
        index: this.#ids.index,
      },
    });
  }

  /**
   * Opens the state, brings its tables in line with the program and finds unfinished batches. Nothing runs yet.
   *
   * @throws WeirError `project_invalid` for SQL that is wrong, `engine_locked`, `contract_changed`, `state_unreadable`, `state_version`, `state_corrupt`, `state_disk_full`, `segment_missing`,
   * `segment_corrupt`
   * @param internals for tests only
   */
  static async open(options: EngineOptions, internals: Partial<ResolvedSettings> = {}): Promise<Engine> {
    try {
      return await Engine.#open(options, { ...settingsOf(options), ...internals });
    } catch (error) {
      throw engineError(error, "state_unreadable", options.dataDir);
    }
  }

  static async #open(options: EngineOptions, settings: ResolvedSettings): Promise<Engine> {
    await checkProgram(options.program);
    const state = join(options.dataDir, "state");
    const lake = Lake.open(join(options.dataDir, "lake"));
    const database = await Database.open(join(state, "weir.duckdb"), join(state, "tmp"), settings);
    failpoint("engine.open.locked");
    try {
      await database.confineTo(options.dataDir);
      const commitSql = await database.connect();
      const planSql = await database.connect();
      const lanes: Sql[] = [];
      for (let i = 0; i < settings.lanes; i++) lanes.push(await database.connect());
      const erasure = resolveErasure(options.privacy, settings.logRetentionMs);
      const salts = await prepareSchema(commitSql);
      const eraseSql = await database.connect();
      const suppression = new Suppression(options.program);
      await suppression.read(commitSql);
      const vault = await openVault(database, options, settings.recentIds);
      await checkColumns(commitSql, options.program.contracts);
      for (const sql of [commitSql, eraseSql, ...lanes]) await prepareStaging(sql, salts, vault);
      // In both catalogs: batches run in one, what users query in the other.
      for (const schema of ["db.main", "memory.main"]) {
        await commitSql.run(`SET search_path = '${schema}'`);
        for (const macro of options.program.setup) await commitSql.run(macro);
      }
      const history = await RemovedHistory.open(commitSql, options.program, settings.keep.rebuildFromKept);
      const { built, aside } = await prepareTables(commitSql, lake, options.program, history);
      if (built.length > 0) options.onEvent?.({ kind: "tables_built", tables: built });
      for (const [table, reason] of aside) options.onEvent?.({ kind: "table_set_aside", table, reason });
      await prepareChanges(commitSql, options.program);
      const views = await createViews(commitSql, lake, options.program);
      const access = await AccessViews.create(commitSql, lake, views, options);
      const replaced = new ReplacedFiles(lake, settings.replacedGraceMs);
      const snapshots = new Snapshots(database, lake, replaced, views, { ...options, ...settings });
      const ids = await IdStore.open(commitSql, join(state, "ids"), settings, vault);
      const planner = new Planner(options.store, planSql, settings, new BackfillShares(options.dataDir));
      await planner.recover();
      const retention = new LogRetention(options.store, settings);
      await retention.recover(commitSql);
      const upkeep = new LakeUpkeep({ lake, sql: await database.connect(), settings, history, replaced });
      await upkeep.sweep();
      const { commit } = await commitSql.row<{ commit: number }>(
        `SELECT coalesce(max("commit"), 0)::DOUBLE AS "commit" FROM db.weir.commits`,
      );
      const commits = new Commits(commit);
      const serving = new Serving({
        program: options.program,
        snapshots,
        commits,
        directory: join(state, "lookups"),
        memoryBytes: settings.lookupMemoryBytes,
        idleMs: settings.lookupIdleMs,
      });
      failpoint("engine.open.ready");
      return new Engine({
        options,
        upkeepEveryMs: settings.upkeepEveryMs,
        database,
        lake,
        planner,
        ids,
        retention,
        upkeep,
        history,
        access,
        lanes,
        commitSql,
        aside: new Map(aside),
        snapshots,
        commits,
        serving,
        changesKeptMs: settings.changesKeptMs,
        salts,
        task: {
          sql: await database.connect(),
          chunkRows: settings.taskChunkRows,
          memory: settings.taskMemory,
        },
        suppression,
        erasures: {
          sql: eraseSql,
          program: await withDeclaredBefore(commitSql, options.program),
          lake,
          settings: erasure,
          suppression,
          replaced,
          history,
          vault,
        },
        vault,
      });
    } catch (error) {
      database.abandon();
      throw error;
    }
  }

  /** Resolves with the error that ended the loop; never if nothing does. The state is as of the last commit. */
  get failed(): Promise<WeirError> {
    return this.#failed;
  }

  /** Starts consuming the log. */
  start(): void {
    if (this.#loop !== undefined) return;
    this.#serving.start();
    this.tasks.start();
    void this.erasures.resume((error) => {
      if (!this.#stopping) this.#options.onEvent?.({ kind: "erasure_failed", error: engineError(error) });
    });
    this.#loop = this.#run().catch((error: unknown) => {
      this.#fail(engineError(error));
    });
  }

  /** Finishes the batch in work and closes everything. */
  async stop(): Promise<void> {
    // Tasks first: what they are committing commits yet.
    await this.tasks.stop();
    this.#stopping = true;
    await this.#loop;
    this.#asked.close();
    await this.erasures.stop();
    await this.#writing.catch(() => undefined);
    // After a failure there may be batches that nobody will commit.
    await Promise.allSettled(this.#staging);
    this.commits.close();
    await this.#serving.close();
    await this.#ids.close();
    await this.#lakeUpkeep.close();
    this.#snapshots.close();
    await this.vault?.close();
    await this.#database.close();
  }

  async #run(): Promise<void> {
    const context = { ...this.#judging, store: this.#options.store };
    while (!this.#stopping) {
      if (this.#broken !== undefined) throw this.#broken;
      if (this.#asked.any && !this.#planner.hasUnfinished) await this.#commitAsked();
      const plan =
        this.#lanes.length === 0 ? undefined : await this.#planner.next(Date.now(), this.#hurry > 0);
      await this.#upkeep();
      const lane = plan === undefined ? undefined : this.#lanes.pop();
      if (plan === undefined || lane === undefined) {
        await Promise.race([delay(idleMs, undefined), this.#writing.catch(() => undefined)]);
        if (this.#lanes.length > 0) await delay(idleMs, undefined);
        continue;
      }
      const staged = stageBatch(lane, context, plan);
      this.#staging.add(staged);
      staged.catch(() => undefined).finally(() => this.#staging.delete(staged));
      // The chain keeps commits in the order of plans. A lane is taken again once its batch commits, so that no more
      // batches wait in memory than there are lanes.
      void this.#exclusive(async () => {
        const batch = await staged;
        this.#lanes.push(lane);
        await this.#commit(batch);
      });
    }
    await this.#writing;
  }

  /** What a task asked for, after all batches that are planned. */
  async #commitAsked(): Promise<void> {
    await this.#writing;
    const own = (): Promise<void> => this.#planner.own((batch) => this.#asked.next(batch));
    // Erasures free up to a million ids each, and a run takes two million.
    await this.#exclusive(() => own().then(() => this.#ids.maintain(this.#commitSql, 0)));
  }

  async #commitOwn(work: (commit: number) => Promise<void>): Promise<void> {
    this.start();
    const all = this.#options.program.tables.map(({ name }) => name);
    await this.#asked.askOwn(async (commit) => {
      await work(commit);
      this.commits.advance(commit, all);
    });
  }

  /** What batches and tasks judge records with. */
  get #judging(): Omit<StageContext, "store"> {
    const { program } = this.#options;
    return { program, lake: this.#lake, suppression: this.#suppression, vault: this.vault };
  }

  #taskHost(): TaskHost {
    return {
      ...this.#judging,
      connect: async () => {
        const sql = await this.#database.connect();
        await prepareStaging(sql, this.#salts, this.vault);
        return sql;
      },
      ids: this.#ids,
      exclusive: this.#exclusive,
      commit: (stage) => this.#asked.ask(stage),
      aside: this.#aside,
      history: this.#history,
      shadowDirectory: (task) => join(this.#options.dataDir, "state", "shadow", String(task)),
      memoryLimit: this.#taskParts.memory,
      serving: this.#serving,
      files: this.#lakeUpkeep,
    };
  }

  async #commit(staged: StagedBatch): Promise<Committed> {
    const context = { ...this.#judging, index: this.#ids.index, history: this.#history, aside: this.#aside };
    const committed = await commitBatch(this.#commitSql, context, staged);
    this.#throughput.note(committed, Date.now());
    this.#planner.spent(staged.plan, committed.timings);
    this.#retention.consumed(staged.plan.segments);
    this.commits.advance(committed.commit, committed.tables);
    this.#options.onEvent?.({ kind: "commit", ...committed });
    for (const table of committed.setAside)
      this.#options.onEvent?.({ kind: "table_set_aside", table, reason: this.#aside.get(table) ?? "" });
    await this.#ids.maintain(this.#commitSql, staged.newestReceivedUs);
    return committed;
  }

  async #upkeep(): Promise<void> {
    const now = Date.now();
    if (now - this.#upkeepAt < this.#upkeepEveryMs) return;
    this.#upkeepAt = now;
    const fail = (error: unknown): void => void (this.#broken ??= engineError(error));
    this.#ids.startMerge(this.#commitSql, this.#exclusive, fail);
    this.#lakeUpkeep.start(now, this.#exclusive, fail);
    await this.#retention.run(now);
    for (const id of await this.erasures.settle()) this.#options.onEvent?.({ kind: "erasure_complete", id });
    if (await this.erasures.restartDue(now)) this.#options.onEvent?.({ kind: "restart_due" });
    for (const one of await this.erasures.late(now))
      this.#options.onEvent?.({ kind: "erasure_late", ...one });
    if (now - this.#forgotAt < forgetEveryMs) return;
    this.#forgotAt = now;
    void this.#exclusive(() => this.#commitSql.run(forgetCommitCounts));
    void this.#exclusive(() => forgetGone(this.#commitSql, this.#options.program, this.#changesKeptMs));
  }

  /** Runs a step that writes state when no other does. Its failure ends the loop. */
  readonly #exclusive = (step: () => Promise<void>): Promise<void> => {
    const done = this.#writing.then(step);
    this.#writing = done;
    done.catch((error: unknown) => (this.#broken ??= engineError(error)));
    return done;
  };

  /**
   * Resolves when everything that was durable in the log at the call is committed.
   *
   * @throws WeirError `drain_timeout`, or what ended the loop
   */
  async drain({ timeoutMs = 60_000 }: { timeoutMs?: number } = {}): Promise<{ commit: number }> {
    const deadline = Date.now() + timeoutMs;
    const heads = await this.#options.store.heads();
    this.start();
    this.#hurry++;
    try {
      for (;;) {
        const { commit, behind: lacks } = await behind(this.#database, heads);
        if (!lacks) {
          // Whoever drained and then looks a row up must not miss what was drained.
          await this.#serving.reached(commit);
          return { commit };
        }
        if (Date.now() > deadline) {
          throw new WeirError("drain_timeout", `Not everything was committed within ${timeoutMs} ms.`);
        }
        const failed = await Promise.race([this.#failed, delay(idleMs, undefined)]);
        if (failed !== undefined) throw failed;
      }
    } finally {
      this.#hurry--;
    }
  }

  /** The last segment of a stream that is committed; 0 if none is. */
  committedSegment(source: string, writer: string): Promise<number> {
    return committedSegment(this.#database, source, writer);
  }

  async status(): Promise<EngineStatus> {
    return {
      project: this.#options.program.project,
      ...(await readStatus(this.#database, this.#options.program)),
      lag: lagOf(this.#planner.waiting),
      ids: this.#ids.index.stats(),
      recordsPerSecond: this.#throughput.perSecond(Date.now()),
      timings: this.#throughput.timings,
      lookups: this.#serving.status,
      tasks: await this.tasks.open(),
    };
  }

  /** Runs one read-only statement on the state of one commit. See {@link Queries.run} for errors. */
  query(sql: string, options?: QueryOptions): Promise<QueryResult> {
    return this.#queries.run(sql, options);
  }

  /** The same, its result piece by piece. */
  queryInto(sql: string, options: QueryOptions, sink: QuerySink): Promise<{ truncated: boolean }> {
    return this.#queries.stream(sql, options, sink);
  }

  /** What became of the records with an id. See {@link traceRecord} for errors. */
  trace(id: string, contract?: string): Promise<Traced[]> {
    return traceRecord(this.#queries, this.#options.program, id, contract);
  }

  /** Rows of a table by key, prefix of the key or event time, in milliseconds. See {@link Serving.lookup} for errors. */
  lookup(table: string, parameters: LookupParameters, role?: string): Promise<LookupResult> {
    return this.#serving.lookup(table, parameters, this.access.maskedColumns(role, table));
  }

  /** What changed in a table after a position. See {@link readChanges} for errors. */
  changes(table: string, since: ChangePosition, limit: number, role?: string): Promise<TableChanges> {
    return this.#serving.changes(table, since, limit, this.access.maskedColumns(role, table));
  }

  /** Where to begin for what changes in a table from now on. @throws WeirError `not_found` */
  lastPosition(table: string): Promise<ChangePosition> {
    return this.#serving.lastPosition(table);
  }

  verify(): Promise<VerifyReport> {
    return verifyState(
      this.#database,
      { lake: this.#lake, replaced: this.#lakeUpkeep.replaced },
      this.#options.program,
    );
  }
}
