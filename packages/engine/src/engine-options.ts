import type { PrivacySpec, Program } from "@weir/compile";
import type { WeirError } from "@weir/contract";
import type { LogStore } from "@weir/log";
import type { Committed } from "./commit.ts";
import type { Commits } from "./commits.ts";
import type { Database, Sql } from "./database.ts";
import type { Erasures } from "./erase/erasures.ts";
import type { Suppression } from "./erase/suppression.ts";
import type { IdStore } from "./ids/id-store.ts";
import { knownOf } from "./keep.ts";
import type { Retention } from "./keep.ts";
import type { LakeUpkeep } from "./lake-upkeep.ts";
import type { Lake } from "./lake.ts";
import type { Planner } from "./planner.ts";
import type { MasterKey } from "./privacy/master-key.ts";
import type { Vault } from "./privacy/vault.ts";
import type { RemovedHistory } from "./removed-history.ts";
import type { AccessViews, RoleMasks } from "./access-views.ts";
import type { LogRetention } from "./retention.ts";
import type { Salts } from "./schema.ts";
import type { TaskParts } from "./tasks/runner.ts";
import type { Serving } from "./serve/serving.ts";
import { resolveSettings } from "./settings.ts";
import type { EngineSettings, ResolvedSettings } from "./settings.ts";
import type { Snapshots } from "./snapshots.ts";

export interface EngineOptions {
  /** Holds `state/` and `lake/`. */
  readonly dataDir: string;
  readonly program: Program;
  readonly store: LogStore;
  readonly settings?: EngineSettings;
  readonly retention?: Retention;
  /** Columns that roles do not see. */
  readonly access?: RoleMasks;
  readonly privacy?: PrivacySpec;
  /** Where the master key of the vault is; default: a file beside the vault. */
  readonly masterKey?: MasterKey;
  readonly onEvent?: (event: EngineEvent) => void;
}

/** What an operator should be able to find in the logs of the process. */
export type EngineEvent =
  | ({ readonly kind: "commit" } & Committed)
  | { readonly kind: "tables_built"; readonly tables: readonly string[] }
  | { readonly kind: "table_set_aside"; readonly table: string; readonly reason: string }
  | { readonly kind: "erasure_complete"; readonly id: string }
  /** A run of the vault's index was missing or damaged, and the index was made anew from the vault's file. */
  | { readonly kind: "vault_index_remade"; readonly reason: string }
  /** A request that an earlier process left could not be done. The next start tries again. */
  | { readonly kind: "erasure_failed"; readonly error: WeirError }
  /** To be started anew when it is convenient: only a start writes the state file without what was erased. */
  | { readonly kind: "restart_due" }
  /** To be started anew now: a query holds a thread and does not end, though its time is over. */
  | { readonly kind: "query_stuck" }
  /** Not complete after this share of the time until its deadline. */
  | { readonly kind: "erasure_late"; readonly id: string; readonly share: number };

/** @throws WeirError `project_invalid`, `duration_invalid` */
export const settingsOf = ({ settings, retention, program }: EngineOptions): ResolvedSettings =>
  resolveSettings(settings, retention, knownOf(program));

/** What an engine is put together from. */
export interface EngineParts {
  readonly options: EngineOptions;
  readonly upkeepEveryMs: number;
  readonly database: Database;
  readonly lake: Lake;
  readonly planner: Planner;
  readonly ids: IdStore;
  readonly retention: LogRetention;
  readonly upkeep: LakeUpkeep;
  readonly history: RemovedHistory;
  readonly access: AccessViews;
  readonly lanes: Sql[];
  readonly commitSql: Sql;
  readonly aside: Map<string, string>;
  readonly snapshots: Snapshots;
  readonly commits: Commits;
  readonly serving: Serving;
  readonly changesKeptMs: number;
  readonly salts: Salts;
  readonly task: TaskParts;
  readonly vault: Vault | undefined;
  readonly suppression: Suppression;
  readonly erasures: Omit<ConstructorParameters<typeof Erasures>[0], "host">;
}
