export { engineFailpoints } from "./failpoints.ts";
export { Engine } from "./engine.ts";
export type { EngineEvent, EngineOptions } from "./engine.ts";
export type { EngineSettings } from "./settings.ts";
export type { EngineStatus, OutcomeStatus } from "./status.ts";
export type { QueryOptions, QueryResult } from "./query.ts";
export type { QuarantineFilter, QuarantinedRecord } from "./quarantine.ts";
export type { Check, VerifyReport } from "./verify.ts";
export type { JsonValue } from "./database.ts";
