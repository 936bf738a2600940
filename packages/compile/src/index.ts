export { compileProject } from "./compile.ts";
export { explainProgram, personalFields } from "./program.ts";
export type {
  ContractPrivacy,
  ContractProgram,
  HistoryParts,
  Invariant,
  PersonalField,
  Program,
  ProgramPrivacy,
  Statement,
  StreamPrivacy,
  TableParts,
  TableProgram,
  TableView,
  UserSql,
} from "./program.ts";
export { historyBorder, keptStates } from "./duckdb/entity-prune.ts";
export { rollup, sessions } from "./builders.ts";
export { derive } from "./derive-builder.ts";
export type { KeyMapping } from "./derive-builder.ts";
export { enrich } from "./enrich-builder.ts";
export { identity, person } from "./identity-builder.ts";
export type { IdFields } from "./identity-builder.ts";
export { entity } from "./entity-builder.ts";
export { avg, count, distinct, first, last, max, min, sum } from "./measure.ts";
export type { Measure } from "./measure.ts";
export type {
  DeriveSpec,
  EnrichSpec,
  EntitySpec,
  IdentityLink,
  IdentitySpec,
  KeyPart,
  PersonKey,
  ProjectSpec,
  RollupSpec,
  SessionsSpec,
  SourceContracts,
  TableSpec,
} from "./table.ts";
export type { PrivacySpec, SubjectField } from "./privacy.ts";
export { contentOf, keyedContent } from "./duckdb/content.ts";
export { sameValue } from "./duckdb/subjects.ts";
export { changedColumns, keepsValues, knownColumns } from "./column-type.ts";
export type { ChangedColumn, Columns } from "./column-type.ts";
export { storedColumns } from "./compile.ts";
export { valueType } from "./field-type.ts";
export type { Field, FieldType, JsonSchema, ValueType } from "./field-type.ts";
export { duckdb } from "./duckdb/dialect.ts";
export type { Dialect, TableScope } from "./duckdb/dialect.ts";
export { keptText, personColumns, taggedTable, unprovenTexts } from "./duckdb/kept-text.ts";
export { isFreeText, taggedLines } from "./duckdb/privacy.ts";
export type { ContractModel } from "./model.ts";
export { ident, text } from "./sql.ts";
