import type { ErrorCodeEntry } from "./error-code-entry.ts";

/** The part of the list in errors.ts that tasks have. */
export const taskErrorCodes = {
  // Tasks
  task_running: {
    status: 409,
    meaning: "A task that does what was asked for has not ended yet.",
    remedy: "Wait for it, or end it first: weir tasks, weir task cancel ID.",
  },
  task_ended: {
    status: 409,
    meaning: "The task has ended, so that nothing of it can be changed.",
    remedy: "weir task show ID tells how it ended.",
  },
  task_not_ready: {
    status: 409,
    meaning: "What is asked of the task cannot be done in the state that it is in.",
    remedy:
      "weir task show ID tells its state. Only a task that is ready can be swapped, only one that is done undone.",
  },
  task_disturbed: {
    status: 409,
    meaning: "A task could not go on: what it works on changed meanwhile, or a table's SQL fails.",
    remedy: "The message says what. Nothing of it shows; ask for the task again.",
  },
  raw_removed: {
    status: 409,
    meaning: "Received records that a replay needs have been removed from the raw zone by retention.",
    remedy: "Replay an interval that begins later; retention.raw says how long received records are kept.",
  },
  replay_too_large: {
    status: 409,
    meaning: "A replay would decide anew about more ids than one commit can take. Nothing of it shows.",
    remedy: "Replay shorter intervals, one after the other.",
  },
  task_unknown: {
    meaning: "The state has a task of a kind that this version of Weir does not know.",
    remedy: "Run the version of Weir that it was asked of, or ask for it again.",
  },
} as const satisfies Record<string, ErrorCodeEntry>;
