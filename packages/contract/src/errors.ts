import { captureErrorCodes } from "./capture-errors.ts";
import type { ErrorCodeEntry } from "./error-code-entry.ts";
import { governErrorCodes } from "./govern-errors.ts";
import { taskErrorCodes } from "./task-errors.ts";

/**
 * Every stable error code in Weir, what it means and what to do. A code never changes its meaning and is never
 * reused; `docs/reference/errors.md` is generated from this list.
 *
 * `status` is the HTTP status the code answers with where it can reach an HTTP client.
 */
export const errorCodes = {
  // Contracts
  contract_invalid: {
    meaning: "A contract in the project file is not valid: its name, version, fields or schema.",
    remedy:
      "Correct the contract as each line of the message says; docs/guide/contracts.md shows valid ones.",
  },
  duration_invalid: {
    meaning: "A length of time in the project file is not one.",
    remedy:
      'Write whole milliseconds, or a whole number and a unit: "500ms", "30s", "30m", "24h", "7d", "4w".',
  },
  unknown_version: {
    meaning:
      "A record names a version of its contract that the deployed one does not read: another major version, or no version at all.",
    remedy: "Deploy a contract of that major version and reprocess the quarantine, or correct the client.",
  },

  // Requests
  invalid_write_key: {
    status: 401,
    meaning: "The write key is missing or belongs to no source.",
    remedy: "Send a write key that the project file declares.",
  },
  not_found: {
    status: 404,
    meaning: "There is nothing at this address.",
    remedy: "See docs/reference/http.md for the addresses.",
  },

  // Collect: records that arrive unreadable (column 6 of a log line). The request that carried them is accepted.
  invalid_json: {
    meaning: "The bytes are not a JSON text (RFC 8259).",
    remedy: "Serialise with a JSON library; the detail names the first byte that does not fit.",
  },
  invalid_utf8: {
    meaning: "The bytes are not UTF-8, which JSON must be (RFC 8259, section 8.1).",
    remedy: "Encode the request body as UTF-8.",
  },
  not_an_object: {
    meaning: "The record is JSON, but not an object.",
    remedy: "Send each record as one JSON object.",
  },
  duplicate_key: {
    meaning:
      "An object names the same member twice, so that its meaning depends on who reads it (RFC 7493, section 2.3).",
    remedy: "Name each member once.",
  },
  lone_surrogate: {
    meaning: "A string holds half of a surrogate pair, which no UTF-8 text can hold (RFC 7493, section 2.1).",
    remedy: "Cut texts between characters, not between UTF-16 units.",
  },
  too_deep: {
    meaning: "The record nests objects and arrays deeper than the source allows.",
    remedy: "Flatten the record, or raise limits.depth of the source.",
  },
  too_large: {
    meaning: "The record is larger than the source allows.",
    remedy:
      "Send large content elsewhere and its address in the record, or raise limits.recordBytes of the source.",
  },
  invalid_message: {
    meaning: "The message breaks the rules of the protocol it was sent by (Segment, CloudEvents, webhooks).",
    remedy: "The detail names the member; see docs/reference/http.md.",
  },

  invalid_row: {
    meaning:
      "A row of a file cannot be taken apart: another number of cells than the header, or a quote that is not closed.",
    remedy: "The detail names the file and the line. Correct it where it was made and drop the file again.",
  },

  // Collect: requests refused whole. Nothing of them is written.
  invalid_http: {
    status: 400,
    meaning: "The bytes on the connection are not an HTTP/1.1 request.",
    remedy: "Check the client or the proxy before it.",
  },
  empty_body: {
    status: 400,
    meaning: "The request has no body, or only white space.",
    remedy: "Send one JSON object, an array of objects, or one object a line (application/x-ndjson).",
  },
  invalid_otlp: {
    status: 400,
    meaning:
      "The body is no ExportLogsServiceRequest of OTLP, or so broken that its records cannot be told apart.",
    remedy:
      "Send OTLP/HTTP logs, in protobuf or JSON as the Content-Type says; traces and metrics are not taken.",
  },
  invalid_encoding: {
    status: 400,
    meaning: "The body cannot be decompressed as its Content-Encoding says.",
    remedy: "Compress the whole body, or leave Content-Encoding out.",
  },
  origin_not_allowed: {
    status: 403,
    meaning: "The source does not accept requests from pages of this origin.",
    remedy: "Add the origin to cors.origins of the source.",
  },
  webhook_signature_invalid: {
    status: 400,
    meaning: "The signature of a webhook call is missing or malformed, or no secret of its source made it.",
    remedy: "Give the source the endpoint's signing secret; let no proxy change the body.",
  },
  webhook_signature_expired: {
    status: 400,
    meaning: "A webhook call was signed too long ago, or in the future.",
    remedy: "Set the clocks right. A call that was held back is sent again with a new signature.",
  },
  method_not_allowed: {
    status: 405,
    meaning: "The address exists, but not for this method.",
    remedy: "The Allow header lists the methods.",
  },
  request_timeout: {
    status: 408,
    meaning: "The request did not arrive whole in time.",
    remedy: "Send it again; send smaller requests over a slow line.",
  },
  body_too_large: {
    status: 413,
    meaning: "The request body is larger than allowed, as sent or once decompressed.",
    remedy: "Send fewer records a request, or raise limits.bodyBytes.",
  },
  too_many_records: {
    status: 413,
    meaning: "The request carries more records than allowed.",
    remedy: "Send fewer records a request, or raise limits.records of the source.",
  },
  unsupported_media_type: {
    status: 415,
    meaning: "The address does not take bodies of this Content-Type.",
    remedy: "Send application/json or application/x-ndjson in UTF-8.",
  },
  tls_invalid: {
    meaning:
      "The certificate or the key for HTTPS cannot be read, they do not belong together, or the certificate is not valid now.",
    remedy: "Give --tls-cert and --tls-key PEM files of one certificate and its key, without a passphrase.",
  },
  unsupported_encoding: {
    status: 415,
    meaning: "The Content-Encoding is not known.",
    remedy: "Compress with gzip, deflate or br, or not at all.",
  },
  rate_limited: {
    status: 429,
    meaning:
      "The write key sends more requests or bytes a second than its source allows, or a token asks more of the API than its role may.",
    remedy:
      "Wait as long as Retry-After says, then send again; access.limits of the project has the limits of roles.",
  },
  headers_too_large: {
    status: 431,
    meaning: "The request line and headers together are too large.",
    remedy: "Send less than 16 KB of them.",
  },
  overloaded: {
    status: 503,
    meaning: "More bytes are being received than the collector may hold in memory.",
    remedy: "Wait as long as Retry-After says, then send again.",
  },
  log_unavailable: {
    status: 503,
    meaning: "The log cannot be written at the moment, so nothing can be accepted.",
    remedy: "Send again later. Operators: /readyz says why.",
  },
  shutting_down: {
    status: 503,
    meaning: "The collector is stopping.",
    remedy: "Send again; another collector or the restarted one will answer.",
  },
  engine_unavailable: {
    status: 503,
    meaning: "The engine is not running, so /api cannot answer. Records are still accepted.",
    remedy: "Wait for the supervisor to restart it, or see its log.",
  },
  internal_error: {
    status: 500,
    meaning: "A defect in Weir.",
    remedy: "Report it with the collector's log. Nothing of this request was acknowledged; send it again.",
  },

  // Collect: declarations of sources that cannot work.
  invalid_source: {
    meaning: "The declaration of a source contradicts itself or another source.",
    remedy: "The message names the source and what to change.",
  },

  // Log: the segment log and its writers (packages/log)
  log_writer_locked: {
    status: 503,
    meaning: "Another process is writing under the same source and writer name.",
    remedy: "Stop that process, or start this one under another writer name.",
  },
  log_writer_closed: {
    status: 503,
    meaning: "The log writer is closed or closing; it takes no more records.",
    remedy: "Send the records again to a running collector.",
  },
  log_full: {
    status: 503,
    meaning: "The log has reached its bound on disk: maxBytes, or minFreeBytes of the file system.",
    remedy:
      "Records are accepted again once old segments are removed; see that the engine runs, or raise the bound.",
  },
  log_disk_full: {
    status: 503,
    meaning:
      "The file system or the quota of the log has no space left. The refused records were not stored.",
    remedy: "Free space; records are accepted again by themselves.",
  },
  log_unwritable: {
    status: 503,
    meaning: "The log directory cannot be written: no permission, read-only, missing, or not a directory.",
    remedy:
      "Make the directory writable for the user Weir runs as, then send again (restart if it was removed).",
  },
  log_io_error: {
    status: 503,
    meaning: "The file system failed to read or write the log. Records acknowledged before are safe.",
    remedy: "Check the disk and the system log.",
  },
  log_overloaded: {
    status: 503,
    meaning: "More bytes wait for the disk than maxPendingBytes allows.",
    remedy: "Send again later; if it lasts, use a faster disk or more writers.",
  },
  log_append_too_large: {
    status: 413,
    meaning: "One append is larger than maxPendingBytes.",
    remedy: "Send smaller batches.",
  },
  log_invalid_name: {
    meaning: "A source or writer name is not 1 to 64 characters of a-z, 0-9, underscore and hyphen.",
    remedy: "Choose another name.",
  },
  log_invalid_position: {
    meaning: "The text is not a log position of the form source/writer/number:line.",
    remedy: "Copy the position as Weir printed it, for example web/c0/000000000042:7.",
  },
  segment_corrupt: {
    meaning: "A sealed segment is not what its writer sealed: length, record count or CRC-32 differ.",
    remedy: "Restore the file from a backup; check the disk.",
  },
  segment_missing: {
    meaning: "The segment is not in the log; retention may have removed it.",
    remedy: "Ask for segments after the oldest one kept.",
  },
  // The command: project files (packages/weir)
  project_not_found: {
    meaning: "There is no project file at the place looked at.",
    remedy:
      "Run the command in the project's folder, name the file with --project, or make one with weir init.",
  },
  project_invalid: {
    meaning: "The project file cannot be loaded, or what it declares does not fit together.",
    remedy: "Correct the project file as the message says, then run weir check.",
  },
  project_env_missing: {
    meaning: "The project file reads an environment variable that is not set.",
    remedy: "Set the variable for every process of Weir, or give env() a default.",
  },

  // The command: processes and the running instance
  already_running: {
    meaning: "Another process runs Weir on this data directory.",
    remedy: "Stop it first (SIGTERM drains it), or choose another --data-dir.",
  },
  not_running: {
    status: 503,
    meaning: "No running instance of Weir answers at this address.",
    remedy: "Start one with weir up, or see its log.",
  },
  port_in_use: {
    meaning: "Another process listens on the port.",
    remedy: "Stop it, or choose another --port.",
  },
  address_unavailable: {
    meaning: "The host and port cannot be listened on: not an address of this machine, or not permitted.",
    remedy: "Choose another --host or a --port above 1023.",
  },
  data_dir_unwritable: {
    meaning: "The data directory cannot be made or written.",
    remedy: "Make it writable for the user Weir runs as, or choose another --data-dir.",
  },
  process_failed: {
    meaning: "A process of Weir ended, or did not start, without saying why.",
    remedy: "See its log above; the supervisor starts it again unless it says otherwise.",
  },
  drain_timeout: {
    status: 504,
    meaning: "Not everything acknowledged was loaded within the time given. It is safe in the log.",
    remedy: "Run weir drain again with a longer --timeout (timeoutMs over HTTP); weir status shows the lag.",
  },
  verify_failed: {
    meaning: "At least one invariant does not hold.",
    remedy: "Keep the data directory as it is and look at the failed checks.",
  },
  invalid_usage: {
    status: 400,
    meaning: "The command or request is not one that Weir knows, or an argument of it is not valid.",
    remedy:
      "Correct what the message names: weir COMMAND --help lists what a command takes, docs/reference/http.md what an address takes.",
  },
  would_overwrite: {
    meaning: "The command would overwrite files that it did not write.",
    remedy: "Choose an empty folder, or move the files away.",
  },

  // Engine
  engine_locked: {
    meaning: "Another process has the state file open.",
    remedy: "Stop that process first, or use another data directory.",
  },
  engine_out_of_memory: {
    status: 503,
    meaning: "DuckDB needs more memory than its limit.",
    remedy: "Raise engine.memoryLimit, lower engine.batchBytes, or ask for less in one query.",
  },
  engine_statement_failed: {
    status: 500,
    meaning: "A statement of the program failed. Nothing of its batch was committed.",
    remedy: "The engine starts again by itself. If the error comes back, report it with this message.",
  },
  conservation_broken: {
    status: 500,
    meaning: "The records of a batch do not add up to its outcomes. Nothing of the batch was committed.",
    remedy: "Report it with this message; the log and the raw zone hold every record.",
  },
  state_disk_full: {
    status: 503,
    meaning: "The disk of the data directory is full. Nothing of the batch was committed.",
    remedy: "Free space. The engine goes on by itself; collectors accept records while the log has room.",
  },
  state_unreadable: {
    status: 500,
    meaning: "A file of the engine's state cannot be opened.",
    remedy: "Check that the data directory is readable and writable for the user that runs Weir.",
  },
  state_corrupt: {
    status: 500,
    meaning: "A file of the engine's state does not hold what was written.",
    remedy: "Check the disk, then restore the data directory from a backup.",
  },
  history_removed: {
    status: 500,
    meaning:
      "A table would have to be built anew, and retention has removed records of the clean zone that it was built from.",
    remedy:
      "Give the new definition another name, take the definition back, or list the table in retention.rebuildFromKept.",
  },
  contract_changed: {
    status: 500,
    meaning:
      "A field of a contract has another type than the records that are stored, so that their values would change or could not be read.",
    remedy:
      "Give the field its old type, or give the new one another name. Decimals may get more digits, objects more members.",
  },
  state_version: {
    status: 500,
    meaning: "The state file was written by another version of Weir.",
    remedy: "Run the version of Weir that wrote it.",
  },
  lake_file_damaged: {
    status: 500,
    meaning: "A file of the lake is missing or does not hold what was written.",
    remedy: "Check the disk, then restore the file from a backup.",
  },
  query_invalid: {
    status: 400,
    meaning: "The query is not valid SQL, or names what does not exist.",
    remedy: "Correct the query; `weir status` lists the tables.",
  },
  query_not_readonly: {
    status: 400,
    meaning: "Only one SELECT statement at a time can be run as a query.",
    remedy: "Send one SELECT (or WITH, FROM, EXPLAIN) statement.",
  },
  queries_overloaded: {
    status: 503,
    meaning: "More queries wait for others to end than the engine lets wait.",
    remedy: "Send it again later, or ask for less at a time.",
  },
  query_timeout: {
    status: 408,
    meaning: "The query ran longer than it may.",
    remedy: "Ask for less, or allow more time.",
  },
  lookup_invalid: {
    status: 400,
    meaning:
      "A lookup names a column by which the table's rows cannot be found, a value that its column cannot have, or no rows at all.",
    remedy:
      "The message names the table's key columns and their types; docs/guide/serving.md has every form.",
  },
  lookup_memory_full: {
    meaning:
      "A table is too large for the index that answers lookups of single rows; they read the table itself.",
    remedy: "Raise engine.lookupMemory, or look up fewer tables.",
  },
  commit_not_reached: {
    status: 504,
    meaning: "The engine has not committed within the time given what the lookup asked to see.",
    remedy:
      "Ask again later, without minCommit, or with a longer timeoutMs; weir status shows the last commit.",
  },
  changes_gone: {
    status: 410,
    meaning: "The changes after this commit are not kept any more, or the table was built anew since.",
    remedy: "Read the table again (since=0 gives all of its rows), then follow it from there.",
  },
  reader_too_slow: {
    meaning: "A reader of changes took nothing for too long, and was cut off.",
    remedy: "Connect again with the last event's id: nothing is left out.",
  },
  too_many_streams: {
    status: 503,
    meaning: "As many readers follow changes as the engine serves at a time.",
    remedy: "Close some, or let one reader pass the changes on.",
  },

  ...captureErrorCodes,
  ...governErrorCodes,
  ...taskErrorCodes,
} as const satisfies Record<string, ErrorCodeEntry>;

export type ErrorCode = keyof typeof errorCodes;

export interface WeirErrorDetails {
  /** The file, source, table, record or address that the error is about. */
  readonly where?: string;
  /** What to do, where it is more specific than the code's own remedy. */
  readonly remedy?: string;
  readonly cause?: unknown;
}

/** An error that an operator or a client sees. Bugs in Weir itself are plain assertions instead. */
export class WeirError extends Error {
  override readonly name = "WeirError";
  readonly code: ErrorCode;
  readonly where: string | undefined;
  readonly remedy: string;

  constructor(code: ErrorCode, message: string, details: WeirErrorDetails = {}) {
    super(message, details.cause === undefined ? {} : { cause: details.cause });
    this.code = code;
    this.where = details.where;
    this.remedy = details.remedy ?? errorCodes[code].remedy;
  }

  toJSON(): { code: ErrorCode; message: string; where?: string; remedy: string } {
    return {
      code: this.code,
      message: this.message,
      ...(this.where === undefined ? {} : { where: this.where }),
      remedy: this.remedy,
    };
  }
}
