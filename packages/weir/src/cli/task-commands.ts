import { Argument, InvalidArgumentError, Option } from "commander";
import type { Command } from "commander";
import type { ExitCode } from "../exit-code.ts";
import { common, integer, share } from "./options.ts";
import type {
  CommonOptions,
  Handlers,
  RebuildOptions,
  ReplayOptions,
  TasksOptions,
  WaitOptions,
} from "./program.ts";

type Done = (code: ExitCode) => void;

/** `weir tasks`, `weir task ...`. */
export function taskCommands(program: Command, handlers: Handlers, done: Done): void {
  common(program.command("tasks"))
    .description("print what was asked for that takes its time, and how far it is")
    .addOption(integer("--limit <n>", "at most this many, the newest", 20, 1, 1_000))
    .action(async (options: TasksOptions) => done(await handlers.tasks(options)));
  const task = program.command("task").description("one task").helpCommand(false);
  common(task.command("show"))
    .description("print how far a task is, or how it ended")
    .addArgument(taskNumber())
    .action(async (id: number, options: CommonOptions) => done(await handlers.taskShow(id, options)));
  common(task.command("cancel"))
    .description("end a task where it is; what it has done stays")
    .addArgument(taskNumber())
    .action(async (id: number, options: CommonOptions) => done(await handlers.taskCancel(id, options)));
  common(task.command("swap"))
    .description("let what a rebuild or a replay that is ready made take the place of what is live")
    .addArgument(taskNumber())
    .option("--no-wait", "do not wait until it has")
    .action(async (id: number, options: WaitOptions) => done(await handlers.taskSwap(id, options)));
  common(task.command("undo"))
    .description("put back what a rebuild or a replay replaced, with what came since")
    .addArgument(taskNumber())
    .option("--no-wait", "do not wait until they are")
    .action(async (id: number, options: WaitOptions) => done(await handlers.taskUndo(id, options)));
}

const taskNumber = (): Argument =>
  new Argument("<id>", "its number, as tasks prints it").argParser((value) => {
    if (/^\d{1,15}$/.test(value)) return Number(value);
    throw new InvalidArgumentError("It must be the number of a task.");
  });

/** `weir rebuild`. */
export function rebuildCommands(program: Command, handlers: Handlers, done: Done): void {
  common(program.command("rebuild"))
    .description("build a table anew from its records, beside the live one, and compare the two")
    .argument("<table>", "the table; those that it reads and those that read it are built with it")
    .addOption(
      share(
        "--share <share>",
        "the share of the time that it works, the rest it leaves to live records",
        0.25,
      ),
    )
    .option("--plan", "only print what it would do")
    .addOption(
      new Option(
        "--auto",
        "let the new tables take the place of the live ones if they are the same",
      ).conflicts("swap"),
    )
    .option("--swap", "let them do so in any case")
    .option("--no-wait", "do not wait until it has ended, or is ready")
    .action(async (table: string, options: RebuildOptions) => done(await handlers.rebuild(table, options)));
}

/** `weir replay`. */
export function replayCommand(program: Command, handlers: Handlers, done: Done): void {
  common(program.command("replay"))
    .description(
      "put what was received in an interval through today's project, beside what is live, and compare the two",
    )
    .requiredOption("--from <time>", "received at this time or later, such as 2026-01-31T12:00:00Z")
    .option("--to <time>", "received before this time (default: now)")
    .addOption(
      share(
        "--share <share>",
        "the share of the time that it works, the rest it leaves to live records",
        0.25,
      ),
    )
    .option("--plan", "only print what it would do")
    .addOption(
      new Option("--auto", "let it take the place of what is live if nothing differs").conflicts("swap"),
    )
    .option("--swap", "let it do so in any case")
    .option("--no-wait", "do not wait until it has ended, or is ready")
    .action(async (options: ReplayOptions) => done(await handlers.replay(options)));
}

/** What `weir quarantine reprocess` and `discard` take. */
export function quarantineTaskCommand(command: Command): Command {
  return command
    .option("--source <name>", "only of this source")
    .option("--contract <name>", "only sent under this contract")
    .option("--reason <code>", "only with this reason")
    .addOption(
      new Option("--id <id>", "only this record; may be given again").argParser(
        (id: string, ids: string[] | undefined) => [...(ids ?? []), id],
      ),
    )
    .addOption(
      share(
        "--share <share>",
        "the share of the time that it works, the rest it leaves to live records",
        0.5,
      ),
    )
    .option("--plan", "only print what it would do")
    .option("--no-wait", "do not wait until it has ended");
}
