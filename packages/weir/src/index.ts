/**
 * What a project file imports. Declarations only: nothing here opens a file, a socket or a database.
 */
export {
  Type,
  WeirError,
  contract,
  date,
  decimal,
  jsonSchemaOf,
  logContract,
  notPii,
  nullable,
  pci,
  pii,
  subject,
  timestamp,
  uuid,
  validator,
} from "@weir/contract";
export type {
  Contract,
  ContractSpec,
  Duration,
  Infer,
  JSONSchema,
  PiiTag,
  RowTags,
  Violation,
} from "@weir/contract";
export { files, postgres, salesforce, stripe } from "@weir/capture";
export type {
  FilesOptions,
  FilesSource,
  PostgresOptions,
  PostgresSource,
  SalesforceAuth,
  SalesforceOptions,
  SalesforceSource,
  StripeOptions,
  StripeSource,
} from "@weir/capture";
export { http, logs } from "@weir/collect";
export type { HttpSource, HttpSourceOptions, LogSource, LogSourceOptions, SourceLimits } from "@weir/collect";
export {
  avg,
  count,
  derive,
  distinct,
  enrich,
  entity,
  first,
  identity,
  last,
  max,
  min,
  person,
  rollup,
  sessions,
  sum,
} from "@weir/compile";
export type { EngineSettings, KeepFor, KeyWrapper, MasterKey, Retention } from "@weir/engine";
export type {
  DeriveSpec,
  EnrichSpec,
  EntitySpec,
  IdFields,
  IdentitySpec,
  KeyMapping,
  KeyPart,
  Measure,
  PersonKey,
  RollupSpec,
  SessionsSpec,
  TableSpec,
} from "@weir/compile";
export { defineProject, env } from "./project.ts";
export type { PrivacyOptions, Project, ProjectOptions } from "./project.ts";
export type { AccessOptions } from "./role-masks.ts";
