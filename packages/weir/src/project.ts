import { WeirError } from "@weir/contract";
import type { Contract } from "@weir/contract";
import type { PrivacySpec, ProjectSpec, SourceContracts } from "@weir/compile";
import type { EngineSettings, MasterKey, Retention } from "@weir/engine";
import type { AccessOptions } from "./role-masks.ts";

/**
 * Registered, so that a project made by one copy of Weir is known to another: the `weir` command on the PATH may not be
 * the copy in the project's node_modules.
 */
const projectBrand: unique symbol = Symbol.for("weir.project") as never;

/** A declared source whose records' contracts carry its name, which only the project knows. */
export interface NamedSource {
  contractsFor(source: string): readonly Contract[];
}

/** What is done about personal values; see docs/guide/privacy.md. */
export interface PrivacyOptions extends PrivacySpec {
  /**
   * Where the master key of the vault is: `{ file }`, relative to the project file; `{ env }`, the name of a variable; or what wraps keys itself.
   * Default: a file beside the vault, made at the first start.
   */
  readonly masterKey?: MasterKey;
}

/** What `defineProject` takes. */
export interface ProjectOptions extends Omit<ProjectSpec, "sources" | "tables"> {
  readonly sources: Readonly<Record<string, SourceContracts | NamedSource>>;
  /** By name. Without one, records are validated, deduplicated and kept all the same. */
  readonly tables?: ProjectSpec["tables"];
  /** Bounds and times of the engine; every one has a default. */
  readonly engine?: EngineSettings;
  /** How long each zone keeps what it has. */
  readonly retention?: Retention;
  /** Who sees which columns. */
  readonly access?: AccessOptions;
  readonly privacy?: PrivacyOptions;
}

/** What a project file exports; made by `defineProject` only. */
export interface Project extends ProjectSpec {
  readonly engine?: EngineSettings;
  readonly retention?: Retention;
  readonly access?: AccessOptions;
  readonly privacy?: PrivacyOptions;
  readonly [projectBrand]: 1;
}

/**
 * Declares a project: its sources, and the tables its records become. The result is plain data; nothing is opened or
 * checked before the command does so.
 */
export function defineProject(spec: ProjectOptions): Project {
  const sources = Object.entries(spec.sources).map(([name, source]) => [
    name,
    "contractsFor" in source ? { ...source, contracts: source.contractsFor(name) } : source,
  ]);
  const project = {
    ...spec,
    tables: spec.tables ?? {},
    sources: Object.fromEntries(sources) as Project["sources"],
  };
  return Object.defineProperty(project, projectBrand, { value: 1 }) as Project;
}

export function isProject(value: unknown): value is Project {
  return typeof value === "object" && value !== null && (value as Partial<Project>)[projectBrand] === 1;
}

/**
 * The value of an environment variable when the project is loaded. An empty variable counts as set.
 *
 * @param fallback returned when the variable is not set
 * @throws WeirError `project_env_missing` when it is not set and there is no fallback
 */
export function env(name: string, fallback?: string): string {
  const value = process.env[name] ?? fallback;
  if (value !== undefined) return value;
  throw new WeirError("project_env_missing", `The environment variable ${name} is not set.`, {
    remedy: `Set ${name} for every process of Weir, or write env("${name}", "a default").`,
  });
}
