import { type Contract, type Duration, WeirError, durationMs } from "@weir/contract";
import { type Zone, readZone } from "./zone.ts";

export type FileFormat = "csv" | "json" | "ndjson" | "parquet" | "avro";

export interface CsvOptions {
  /** One character; default `,`, or a tab for `.tsv`. */
  readonly delimiter?: string;
  /** One character; default `"`. Within quotes it is written twice. */
  readonly quote?: string;
  /** `true`: the first row names the columns (default). Names: the file has no such row. */
  readonly header?: true | readonly string[];
  /** Lines before the header, or before the first row, that are not looked at; default 0. */
  readonly skipLines?: number;
  /** Default `utf-8`; any that the Encoding Standard names, such as `windows-1252` and `utf-16le`. */
  readonly encoding?: string;
  /** Cells that mean that there is no value, besides empty ones, such as `NULL` and `\N`. */
  readonly nulls?: readonly string[];
  /** The decimal sign of numbers; default `.`. The other one of `.` and `,` may then group digits by threes. */
  readonly decimal?: "." | ",";
}

export interface FilesOptions {
  /** The directory; a relative one is relative to the project file. */
  readonly path: string;
  /** What rows must look like; or by pattern of file paths, where the first that matches counts. */
  readonly contract: Contract | Readonly<Record<string, Contract>>;
  /**
   * Which files, with one contract: `*.csv.gz`, `**\/*.parquet` for subdirectories too. Default: those in the directory itself whose
   * name ends in .csv, .tsv, .json, .ndjson, .jsonl, .parquet or .avro, with .gz behind it or not.
   */
  readonly pattern?: string | readonly string[];
  /** Default: as the name ends. */
  readonly format?: FileFormat;
  readonly csv?: CsvOptions;
  /** The file's column for a field of the contract, where the names differ: `{ amount: "Amount (EUR)" }`. */
  readonly columns?: Readonly<Record<string, string>>;
  /** Zone of times that name none: `UTC`, `+02:00`, `Europe/Berlin`. Without it they stay as they are, which no contract accepts. */
  readonly timezone?: string;
  /** `column`: rows carry the contract's id (default). `position`: the id is made of the file's identity and the row's number. */
  readonly id?: "column" | "position";
  /** What a file is known again by: `path` and content (default), or `content` alone. */
  readonly once?: "path" | "content";
  /** A file is read when its size and time of change have stayed the same for this long; default 5s. */
  readonly stable?: Duration;
  /** How often the directory is looked through; default 5s. */
  readonly every?: Duration;
  /** An ending such as `.done`: `x.csv` is read once `x.csv.done` is there too, and does not have to be stable. */
  readonly ready?: string;
  /** What becomes of a file that was read; default `keep`. A directory to move to is relative to `path`. */
  readonly after?: "keep" | "delete" | { readonly move: string };
  /**
   * Fields that say where a row is from: the file's path, and its line (CSV, NDJSON) or number. Default `source_file` and `source_row`,
   * unless the contract allows no other members. `false`: none.
   */
  readonly file?: { readonly name?: string; readonly row?: string } | false;
  /** Largest row in bytes; default 1 MiB. A larger one goes to quarantine with its first 64 KiB. */
  readonly rowBytes?: number;
}

/** One kind of files in a directory. */
export interface FileFeed {
  readonly patterns: readonly string[];
  readonly contract: Contract;
}

/** A directory that files are dropped into, declared. Plain data. */
export interface FilesSource {
  readonly kind: "files";
  readonly contracts: readonly Contract[];
  readonly path: string;
  readonly feeds: readonly FileFeed[];
  readonly format: FileFormat | undefined;
  readonly csv: Required<Omit<CsvOptions, "delimiter">> & { readonly delimiter: string | undefined };
  readonly columns: Readonly<Record<string, string>>;
  readonly timezone: Zone | undefined;
  readonly id: "column" | "position";
  readonly once: "path" | "content";
  readonly stableMs: number;
  readonly everyMs: number;
  readonly ready: string | undefined;
  readonly after: "keep" | "delete" | { readonly move: string };
  readonly file: { readonly name: string | undefined; readonly row: string | undefined };
  readonly rowBytes: number;
}

/** Endings that tell the format. */
export const formatByEnding: ReadonlyMap<string, FileFormat> = new Map([
  [".csv", "csv"],
  [".tsv", "csv"],
  [".json", "json"],
  [".ndjson", "ndjson"],
  [".jsonl", "ndjson"],
  [".parquet", "parquet"],
  [".avro", "avro"],
]);
const anyKnown = `*{${[...formatByEnding.keys()].join(",")}}{,.gz}`;

/**
 * Declares a directory of files as a source: each file is read once, and its rows become records of a contract. See
 * docs/guide/files.md.
 *
 * @throws WeirError `invalid_source`, `duration_invalid`
 */
export function files(options: FilesOptions): FilesSource {
  const { path, csv = {}, columns = {}, id = "column", once = "path", after = "keep", file } = options;
  if (typeof path !== "string" || path === "") throw invalid("The path of a files source is missing.");
  const feeds = feedsOf(options);
  const contracts = [...new Set(feeds.map(({ contract }) => contract))];
  checkColumns(contracts, columns);
  if (id === "position") checkPositionIds(contracts);
  const { rowBytes = 1024 * 1024, timezone } = options;
  if (!Number.isInteger(rowBytes) || rowBytes < 1 || rowBytes > 8 * 1024 * 1024) {
    throw invalid("rowBytes must be a whole number from 1 to 8388608.");
  }
  return {
    kind: "files",
    contracts,
    path,
    feeds,
    format: options.format,
    csv: csvOf(csv),
    columns: { ...columns },
    timezone: timezone === undefined ? undefined : readZone(timezone),
    id,
    once,
    stableMs: durationMs(options.stable ?? "5s"),
    everyMs: durationMs(options.every ?? "5s"),
    ready: options.ready,
    after,
    file: {
      name: file === false ? undefined : (file?.name ?? (file === undefined ? "source_file" : undefined)),
      row: file === false ? undefined : (file?.row ?? (file === undefined ? "source_row" : undefined)),
    },
    rowBytes,
  };
}

function feedsOf({ contract, pattern }: FilesOptions): FileFeed[] {
  if (isContract(contract)) {
    const patterns =
      pattern === undefined ? [anyKnown] : typeof pattern === "string" ? [pattern] : [...pattern];
    return [{ patterns, contract }];
  }
  if (pattern !== undefined) throw invalid("With contracts by pattern there is no other pattern.");
  const feeds = Object.entries(contract).map(([one, of]) => ({ patterns: [one], contract: of }));
  if (feeds.length === 0) throw invalid("A files source needs a contract.");
  return feeds;
}

const isContract = (value: FilesOptions["contract"]): value is Contract =>
  typeof value["name"] === "string" && "schema" in value;

function csvOf(options: CsvOptions): FilesSource["csv"] {
  const {
    delimiter,
    quote = '"',
    header = true,
    skipLines = 0,
    encoding = "utf-8",
    nulls = [],
    decimal = ".",
  } = options;
  for (const [name, sign] of Object.entries({ delimiter, quote })) {
    if (sign === undefined || /^[\t\x20-\x7e]$/.test(sign)) continue;
    throw invalid(`csv.${name} must be one printable ASCII character or a tab.`);
  }
  if (delimiter === quote) throw invalid("csv.delimiter and csv.quote must differ.");
  if (!Number.isInteger(skipLines) || skipLines < 0) throw invalid("csv.skipLines must be a whole number.");
  if (header !== true && (header.length === 0 || new Set(header).size < header.length)) {
    throw invalid("csv.header must name every column once.");
  }
  checkEncoding(encoding);
  return { delimiter, quote, header, skipLines, encoding, nulls: [...nulls], decimal };
}

function checkEncoding(encoding: string): object {
  try {
    return new TextDecoder(encoding);
  } catch (cause) {
    throw invalid(`csv.encoding ${JSON.stringify(encoding)} is none that this Node knows.`, cause);
  }
}

function checkColumns(contracts: readonly Contract[], columns: Readonly<Record<string, string>>): void {
  const sources = Object.values(columns);
  if (new Set(sources).size < sources.length)
    throw invalid("columns takes one column of the file for two fields.");
  for (const field of Object.keys(columns)) {
    if (contracts.some(({ schema }) => Object.hasOwn(schema.properties ?? {}, field))) continue;
    throw invalid(`columns names ${JSON.stringify(field)}, which is a field of no contract of the source.`);
  }
}

function checkPositionIds(contracts: readonly Contract[]): void {
  for (const { name, schema, id } of contracts) {
    const field = schema.properties?.[id];
    if (typeof field === "object" && field.type === "string") continue;
    throw invalid(`Ids made of positions are texts, and the id of contract ${name} is not.`);
  }
}

function invalid(message: string, cause?: unknown): WeirError {
  return new WeirError("invalid_source", message, { where: "files source", cause });
}
