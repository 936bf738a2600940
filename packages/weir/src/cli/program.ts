import { Command, InvalidArgumentError, Option } from "commander";
import type { Duration } from "@weir/contract";
import type { ExitCode } from "../exit-code.ts";
import type { Role } from "@weir/govern";
import { common, duration, integer, life } from "./options.ts";
import { quarantineTaskCommand, rebuildCommands, replayCommand, taskCommands } from "./task-commands.ts";
import type { Role as ProcessRole } from "../processes/supervisor.ts";

/** Options that every command takes. */
export interface CommonOptions {
  readonly project?: string;
  readonly dataDir?: string;
  readonly json?: boolean;
}

export interface CheckOptions extends CommonOptions {
  readonly connect?: boolean;
}

export interface ContractDiffOptions extends CommonOptions {
  readonly mode: "backward" | "forward" | "full";
}

export interface UpOptions extends CommonOptions {
  readonly host: string;
  readonly port: number;
  readonly collectors: number;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly role: ProcessRole;
  readonly drainTimeout: Duration;
  readonly logFormat?: "human" | "json";
}

export interface QueryOptions extends CommonOptions {
  readonly file?: string;
  readonly csv?: boolean;
  readonly maxRows: number;
  readonly timeout: Duration;
}

export interface DrainOptions extends CommonOptions {
  readonly timeout: Duration;
}

export interface QuarantineOptions extends CommonOptions {
  readonly source?: string;
  readonly contract?: string;
  readonly reason?: string;
  readonly limit: number;
  readonly offset: number;
}

/** Which records of the quarantine a task is about. */
export interface QuarantineTaskOptions extends CommonOptions {
  readonly source?: string;
  readonly contract?: string;
  readonly reason?: string;
  readonly id?: readonly string[];
  readonly share: number;
  readonly plan?: boolean;
  readonly wait: boolean;
}

export interface DiscardOptions extends QuarantineTaskOptions {
  readonly reasonText: string;
}

export interface RebuildOptions extends CommonOptions {
  readonly share: number;
  readonly plan?: boolean;
  readonly swap?: boolean;
  readonly auto?: boolean;
  readonly wait: boolean;
}

export interface ReplayOptions extends CommonOptions {
  readonly from: string;
  readonly to?: string;
  readonly share: number;
  readonly plan?: boolean;
  readonly swap?: boolean;
  readonly auto?: boolean;
  readonly wait: boolean;
}

export interface WaitOptions extends CommonOptions {
  readonly wait: boolean;
}

export interface TasksOptions extends CommonOptions {
  readonly limit: number;
}

export interface TraceOptions extends CommonOptions {
  readonly contract?: string;
}

export interface BackfillOptions extends CommonOptions {
  readonly files?: string;
  readonly from?: string;
  readonly to?: string;
  readonly column?: string;
  readonly tables?: readonly string[];
  readonly contract?: string;
  readonly share: number;
  readonly plan?: boolean;
  readonly cancel?: string;
}

export interface TokenOptions extends CommonOptions {
  readonly role: Role;
  readonly expires?: Duration;
}

export interface EraseOptions extends CommonOptions {
  readonly email?: readonly string[];
  readonly id?: readonly string[];
  readonly subject?: readonly string[];
  readonly dryRun?: boolean;
  readonly allowMany?: string;
}

export interface EraseVerifyOptions {
  readonly json?: boolean;
  readonly after?: string;
  readonly key?: string;
}

export interface RevealOptions extends CommonOptions {
  readonly reason: string;
}

export interface AuditOptions extends CommonOptions {
  readonly after: number;
  readonly limit: number;
}

/** What each command does; every one resolves to the exit code. */
export interface Handlers {
  init(folder: string, options: CommonOptions): Promise<ExitCode>;
  up(options: UpOptions): Promise<ExitCode>;
  dev(options: UpOptions): Promise<ExitCode>;
  check(options: CheckOptions): Promise<ExitCode>;
  contractDiff(name: string | undefined, options: ContractDiffOptions): Promise<ExitCode>;
  plan(options: CommonOptions): Promise<ExitCode>;
  status(options: CommonOptions & { watch?: boolean }): Promise<ExitCode>;
  query(sql: string | undefined, options: QueryOptions): Promise<ExitCode>;
  drain(options: DrainOptions): Promise<ExitCode>;
  verify(options: CommonOptions): Promise<ExitCode>;
  quarantineList(options: QuarantineOptions): Promise<ExitCode>;
  quarantineShow(id: string, options: CommonOptions): Promise<ExitCode>;
  quarantineReprocess(options: QuarantineTaskOptions): Promise<ExitCode>;
  quarantineDiscard(options: DiscardOptions): Promise<ExitCode>;
  tasks(options: TasksOptions): Promise<ExitCode>;
  taskShow(id: number, options: CommonOptions): Promise<ExitCode>;
  taskCancel(id: number, options: CommonOptions): Promise<ExitCode>;
  rebuild(table: string, options: RebuildOptions): Promise<ExitCode>;
  replay(options: ReplayOptions): Promise<ExitCode>;
  taskSwap(id: number, options: WaitOptions): Promise<ExitCode>;
  taskUndo(id: number, options: WaitOptions): Promise<ExitCode>;
  trace(id: string, options: TraceOptions): Promise<ExitCode>;
  backfill(source: string | undefined, options: BackfillOptions): Promise<ExitCode>;
  tokenCreate(name: string, options: TokenOptions): Promise<ExitCode>;
  tokenList(options: CommonOptions): Promise<ExitCode>;
  tokenRevoke(name: string, options: CommonOptions): Promise<ExitCode>;
  vaultReveal(tokens: readonly string[], options: RevealOptions): Promise<ExitCode>;
  auditList(options: AuditOptions): Promise<ExitCode>;
  auditVerify(options: CommonOptions): Promise<ExitCode>;
  erase(options: EraseOptions): Promise<ExitCode>;
  eraseList(options: CommonOptions): Promise<ExitCode>;
  eraseShow(id: string, options: CommonOptions): Promise<ExitCode>;
  eraseLift(id: string, options: CommonOptions): Promise<ExitCode>;
  eraseCertificate(id: string, options: CommonOptions): Promise<ExitCode>;
  eraseVerify(file: string, options: EraseVerifyOptions): Promise<ExitCode>;
}

/**
 * The command line as data: names, arguments, options, defaults and help. `docs/reference/cli.md` is tested against it.
 *
 * @param done receives the exit code of the command that ran
 */
export function createProgram(handlers: Handlers, version: string, done: (code: ExitCode) => void): Command {
  const program = new Command("weir")
    .description("Collects, validates, deduplicates and serves a team's records. See docs/reference/cli.md.")
    .version(version, "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .helpCommand(false)
    .exitOverride()
    .configureOutput({ outputError: () => {} });

  program
    .command("init")
    .description("write a small working project")
    .argument("[folder]", "where to write it", ".")
    .option("--json", "print one JSON value")
    .action(async (folder: string, options: CommonOptions) => done(await handlers.init(folder, options)));

  runOptions(common(program.command("up")))
    .description("run the project until a signal; SIGTERM and Ctrl-C drain, then exit")
    .addOption(
      new Option("--role <role>", "which processes to run")
        .choices(["all", "collect", "engine", "capture"])
        .default("all"),
    )
    .action(async (options: UpOptions) => done(await handlers.up(options)));

  runOptions(common(program.command("dev")))
    .description("like up, and load the project anew when a file of it changes")
    .action(async (options: Omit<UpOptions, "role">) =>
      done(await handlers.dev({ ...options, role: "all" })),
    );

  common(program.command("check"))
    .description("load and compile the project; print its problems or what it declares")
    .option("--connect", "also connect to the sources that Weir captures, and print what is wrong with them")
    .action(async (options: CheckOptions) => done(await handlers.check(options)));

  const contract = program.command("contract").description("contracts and their versions").helpCommand(false);
  common(contract.command("diff"))
    .description("compare the project's contracts with those that were deployed")
    .argument("[name]", "only this one")
    .addOption(
      new Option(
        "--mode <mode>",
        "who must understand whom: backward, the new version the records of the old; forward, the old those of the new",
      )
        .choices(["backward", "forward", "full"])
        .default("backward"),
    )
    .action(async (name: string | undefined, options: ContractDiffOptions) =>
      done(await handlers.contractDiff(name, options)),
    );

  common(program.command("plan"))
    .description("print the program that the project compiles to")
    .action(async (options: CommonOptions) => done(await handlers.plan(options)));

  common(program.command("status"))
    .description("print counts, lag, tables and processes")
    .option("-w, --watch", "print again every second until a signal")
    .action(async (options: CommonOptions & { watch?: boolean }) => done(await handlers.status(options)));

  queryCommand(common(program.command("query"))).action(
    async (sql: string | undefined, options: QueryOptions) => done(await handlers.query(sql, options)),
  );

  common(program.command("drain"))
    .description("return when everything acknowledged so far is loaded")
    .addOption(duration("--timeout <time>", "give up after this long", "5m"))
    .action(async (options: DrainOptions) => done(await handlers.drain(options)));

  common(program.command("verify"))
    .description("check the invariants that a running system can check")
    .action(async (options: CommonOptions) => done(await handlers.verify(options)));

  const quarantine = program
    .command("quarantine")
    .description("records that could not be loaded")
    .helpCommand(false);
  quarantineListCommand(common(quarantine.command("list"))).action(async (options: QuarantineOptions) =>
    done(await handlers.quarantineList(options)),
  );
  common(quarantine.command("show"))
    .description("print one record: its reasons and its text as received")
    .argument("<id>", "as list prints it: source/writer/number/line")
    .action(async (id: string, options: CommonOptions) => done(await handlers.quarantineShow(id, options)));
  quarantineTaskCommand(common(quarantine.command("reprocess")))
    .description("put the records that are in quarantine now through today's project")
    .action(async (options: QuarantineTaskOptions) => done(await handlers.quarantineReprocess(options)));
  quarantineTaskCommand(common(quarantine.command("discard")))
    .description("take records out of the quarantine for good; they are counted as suppressed")
    .requiredOption("--reason-text <text>", "why; it is kept with each of them")
    .action(async (options: DiscardOptions) => done(await handlers.quarantineDiscard(options)));
  rebuildCommands(program, handlers, done);
  replayCommand(program, handlers, done);
  taskCommands(program, handlers, done);
  common(program.command("trace"))
    .description("print what became of a record: every arrival, its outcome, and the tables it is in")
    .argument("<id>", "the record's id")
    .option("--contract <name>", "only under this contract")
    .action(async (id: string, options: TraceOptions) => done(await handlers.trace(id, options)));
  backfillCommand(program, handlers, done);
  tokenCommands(program, handlers, done);
  vaultCommands(program, handlers, done);
  auditCommands(program, handlers, done);
  eraseCommands(program, handlers, done);
  return program;
}

type Done = (code: ExitCode) => void;

function backfillCommand(program: Command, handlers: Handlers, done: Done): void {
  common(program.command("backfill"))
    .description(
      "read the past into a source, from files or from the source itself, and return when it is loaded; the same command again goes on with it",
    )
    .argument("[source]", "the source whose records they are")
    .option("--files <pattern>", "their paths: CSV, NDJSON, JSON, Parquet or Avro, with *, **, ? and {a,b}")
    .option("--contract <name>", "the contract of their rows, where the source has several")
    .option(
      "--from <time>",
      "ask the source for an interval that begins at this time, such as 2026-01-31 or 2026-01-31T12:00:00Z",
    )
    .option("--to <time>", "and ends before this one")
    .option("--column <name>", "of a database: the timestamp or date that is in the interval")
    .addOption(
      repeated(
        "--tables <pattern>",
        "of a database: captured tables, as schema.table with * and ?; may be given again",
      ),
    )
    .addOption(
      new Option("--share <share>", "of the engine's time, while live records come")
        .argParser((text) => {
          const share = Number(text);
          if (text.trim() !== "" && share >= 0.01 && share <= 0.9) return share;
          throw new InvalidArgumentError("It must be a number from 0.01 to 0.9.");
        })
        .default(0.25),
    )
    .option("--plan", "only print what would be read")
    .option("--cancel <id>", "end one that runs")
    .action(async (source: string | undefined, options: BackfillOptions) =>
      done(await handlers.backfill(source, options)),
    );
}

function tokenCommands(program: Command, handlers: Handlers, done: Done): void {
  const token = program.command("token").description("tokens for the API").helpCommand(false);
  common(token.command("create"))
    .description("make a token and print it; from the first on, the API asks for one")
    .argument("<name>", "what to call it: lower-case letters, digits, _ and -")
    .addOption(
      new Option("--role <role>", "what it may do")
        .choices(["viewer", "analyst", "operator", "privacy", "admin"])
        .makeOptionMandatory(),
    )
    .addOption(life("--expires <time>", "how long it is good (default: until it is revoked)"))
    .action(async (name: string, options: TokenOptions) => done(await handlers.tokenCreate(name, options)));
  common(token.command("list"))
    .description("print the tokens that there are, not what they are")
    .action(async (options: CommonOptions) => done(await handlers.tokenList(options)));
  common(token.command("revoke"))
    .description("take a token back at once")
    .argument("<name>", "its name")
    .action(async (name: string, options: CommonOptions) => done(await handlers.tokenRevoke(name, options)));
}

function vaultCommands(program: Command, handlers: Handlers, done: Done): void {
  const vault = program.command("vault").description("personal values and their tokens").helpCommand(false);
  common(vault.command("reveal"))
    .description("print the values behind tokens; who asked, and why, is recorded")
    .argument("<token...>", "as tables have them: tok_... or sub_...")
    .addOption(new Option("--reason <text>", "why: it is kept in the audit log").makeOptionMandatory())
    .action(async (tokens: string[], options: RevealOptions) =>
      done(await handlers.vaultReveal(tokens, options)),
    );
}

function auditCommands(program: Command, handlers: Handlers, done: Done): void {
  const audit = program.command("audit").description("who did what").helpCommand(false);
  common(audit.command("list"))
    .description("print entries of the audit log, oldest first")
    .addOption(integer("--after <n>", "those after this number", 0, 0, Number.MAX_SAFE_INTEGER))
    .addOption(integer("--limit <n>", "at most this many", 1000, 1, 10_000))
    .action(async (options: AuditOptions) => done(await handlers.auditList(options)));
  common(audit.command("verify"))
    .description("check that no entry was changed, removed or put in")
    .action(async (options: CommonOptions) => done(await handlers.auditVerify(options)));
}

function eraseCommands(program: Command, handlers: Handlers, done: Done): void {
  const erase = common(program.command("erase"))
    .description("erase a person from every table and file, and keep later records of theirs out")
    .helpCommand(false)
    .addOption(repeated("--email <address>", "an address of the person; may be given again"))
    .addOption(
      repeated("--id <kind=value>", "an identifier by its kind, such as user_id=42; may be given again"),
    )
    .addOption(repeated("--subject <value>", "an identifier of whatever kind; may be given again"))
    .option("--dry-run", "print what would be erased, and erase nothing")
    .option("--allow-many <reason>", "why it may reach more than the project's limits allow; it is certified")
    .action(async (options: EraseOptions) => done(await handlers.erase(options)));
  const one = (name: string, description: string): Command =>
    common(erase.command(name)).description(description).argument("<id>", "as list prints it: e1");
  common(erase.command("list"))
    .description("print the requests, and what is left of each")
    .action(async (_: CommonOptions, command: Command) =>
      done(await handlers.eraseList(command.optsWithGlobals())),
    );
  one("show", "print a request: what it erased, and what is left on disk").action(
    async (id: string, _: CommonOptions, command: Command) =>
      done(await handlers.eraseShow(id, command.optsWithGlobals())),
  );
  one("lift", "take records of the person again; what was erased does not come back").action(
    async (id: string, _: CommonOptions, command: Command) =>
      done(await handlers.eraseLift(id, command.optsWithGlobals())),
  );
  one("certificate", "print the last certificate of a request: signed JSON").action(
    async (id: string, _: CommonOptions, command: Command) =>
      done(await handlers.eraseCertificate(id, command.optsWithGlobals())),
  );
  erase
    .command("verify")
    .description("check a certificate, offline")
    .argument("<file>", "the certificate")
    .option("--after <file>", "the certificate before it in the chain")
    .option("--key <hash>", "SHA-256 of the public key that it has to be signed with")
    .option("--json", "print one JSON value")
    .action(async (file: string, _: EraseVerifyOptions, command: Command) =>
      done(await handlers.eraseVerify(file, command.optsWithGlobals())),
    );
}

const repeated = (flags: string, text: string): Option =>
  new Option(flags, text).argParser((value: string, before: readonly string[] | undefined) => [
    ...(before ?? []),
    value,
  ]);

function runOptions(command: Command): Command {
  return command
    .addOption(integer("--port <port>", "port to accept records on; 0 for any free one", 8787, 0, 65_535))
    .option("--host <address>", "address to listen on", "127.0.0.1")
    .addOption(integer("--collectors <n>", "number of collector processes", 1, 1, 64))
    .addOption(
      new Option(
        "--tls-cert <path>",
        "speak HTTPS: the certificate, PEM, with those it is signed by behind it",
      ).env("WEIR_TLS_CERT"),
    )
    .addOption(new Option("--tls-key <path>", "the certificate's private key, PEM").env("WEIR_TLS_KEY"))
    .addOption(
      duration("--drain-timeout <time>", "how long a stop may take to load what is in the log", "30s"),
    )
    .addOption(
      new Option(
        "--log-format <format>",
        "how to log to standard error (default: human on a terminal, else json)",
      ).choices(["human", "json"]),
    );
}

function queryCommand(command: Command): Command {
  return command
    .description("run one read-only SQL statement")
    .argument("[sql]", "the statement")
    .option("-f, --file <path>", "read the statement from a file; - for standard input")
    .addOption(new Option("--csv", "print CSV").conflicts("json"))
    .addOption(integer("--max-rows <n>", "print at most this many rows", 1000, 1, 10_000_000))
    .addOption(duration("--timeout <time>", "give up after this long", "60s"));
}

function quarantineListCommand(command: Command): Command {
  return command
    .description("print the newest records in quarantine")
    .option("--source <name>", "only of this source")
    .option("--contract <name>", "only sent under this contract")
    .option("--reason <code>", "only with this reason")
    .addOption(integer("--limit <n>", "at most this many", 50, 1, 10_000))
    .addOption(integer("--offset <n>", "skip this many", 0, 0, Number.MAX_SAFE_INTEGER));
}
