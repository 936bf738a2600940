import { type Contract, WeirError, logContract } from "@weir/contract";
import { type SourceLimits, defaultSourceLimits, withDefaults } from "./limits.ts";
import { type PushSource, checkWriteKeys } from "./source.ts";

export interface LogSourceOptions {
  /** What `logContract` makes; default `logContract("logs")`. */
  readonly contract?: Contract;
  /** Keys that clients authenticate with. None at all is for local development: see `createCollector`. */
  readonly writeKeys?: readonly string[];
  readonly limits?: Partial<SourceLimits>;
}

/** A source of log records, declared. Plain data. */
export interface LogSource extends PushSource {
  readonly kind: "logs";
}

/**
 * Declares a source whose log records are sent to Weir: OTLP/HTTP at `/v1/logs`, Fluent Bit at `/v1/logs/ndjson`. Web pages
 * cannot send to it.
 *
 * @throws WeirError `invalid_source` for a contract without the fields of `logContract`, a write key that cannot travel in
 *   a header, or a limit that is not positive
 */
export function logs(options: LogSourceOptions = {}): LogSource {
  const { contract = logContract("logs"), writeKeys = [], limits } = options;
  checkContract(contract);
  checkWriteKeys(writeKeys, "logs source");
  return {
    kind: "logs",
    contracts: [contract],
    writeKeys: [...writeKeys],
    cors: { origins: [] },
    limits: withDefaults(defaultSourceLimits, limits, "logs source"),
  };
}

function checkContract(contract: Contract): void {
  const wanted = Object.keys(logContract("logs").schema.properties ?? {});
  const fields = contract.schema.properties ?? {};
  const missing = wanted.filter((name) => !Object.hasOwn(fields, name));
  if (missing.length === 0) return;
  throw new WeirError(
    "invalid_source",
    `Contract ${contract.name} has no field ${missing.slice(0, 5).join(", ")}, which log records have.`,
    { where: "logs source", remedy: `Make the contract with logContract("${contract.name}").` },
  );
}
