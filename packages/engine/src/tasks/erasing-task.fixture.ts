/** What a process is asked for that replays and erases; see crash-replay-erase.fixture.ts. */
import type { Program } from "@weir/compile";
import type { ReplayRequest } from "../replay/request.ts";
import type { ResolvedSettings } from "../settings.ts";
import { after, before } from "./replay.fixture.ts";

/** By the amounts that they take, which `taken` has. */
export const projects = { before, after } satisfies Record<string, Program>;
export const taken = { before: [0, 50], after: [20, 100] } as const;
export type ProjectName = keyof typeof projects;

export interface ErasingTask {
  readonly dataDir: string;
  readonly project: ProjectName;
  /** A replay of everything, unless there is a task already. */
  readonly replay?: true;
  /** The task that is to be undone. */
  readonly undo?: number;
  /** Who is to be erased meanwhile. */
  readonly erase?: string;
}

export const everything: ReplayRequest = { from: "2000-01-01", to: "2200-01-01", swap: "always", share: 1 };

export const erasingInternals: Partial<ResolvedSettings> = {
  upkeepEveryMs: 20,
  quietMs: 0,
  replacedGraceMs: 0,
  logRetentionMs: 0,
  taskMemory: "256MB",
  taskChunkRows: 25,
};
