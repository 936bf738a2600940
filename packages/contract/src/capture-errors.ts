import type { ErrorCodeEntry } from "./error-code-entry.ts";

/** The part of the list in errors.ts that pull sources have. */
export const captureErrorCodes = {
  // Capture
  capture_cursor_unreadable: {
    meaning: "The file that says where a captured source goes on cannot be read.",
    remedy:
      "Restore it, or remove it: the source is then read from the start, and what was loaded before counts as duplicates.",
  },
  files_directory_unreadable: {
    meaning:
      "The directory of a files source is not there, or cannot be read or written as its declaration asks.",
    remedy:
      "Create it or mount it, and let the user that runs Weir read it (and write, to delete or move files).",
  },
  file_unreadable: {
    meaning: "A file of a files source cannot be opened or read. It is tried again; other files are read.",
    remedy: "Let the user that runs Weir read the file, and check the disk.",
  },
  file_damaged: {
    meaning:
      "A file of a files source does not hold what its format asks for: gzip that breaks off, a broken Parquet file. None of its rows were taken.",
    remedy: "Drop the file again, whole: it is read as soon as it changes.",
  },
  file_changed: {
    meaning: "A file of a files source changed while it was read, so its writer was not done with it.",
    remedy:
      "It is read again once it is stable. Write to another name and rename, or raise `stable`, so that rows read too early do not stay.",
  },
  capture_failed: {
    meaning: "A captured source could not be read; it is tried again after a growing delay.",
    remedy: "Read the message; `weir status` shows whether the source works again.",
  },
  interval_unavailable: {
    meaning: "A past interval of the source, or of a part of it, cannot be read as it is now.",
    remedy: "Read the message, which says what is in the way and what to do instead; docs/guide/backfill.md.",
  },

  // Capture: PostgreSQL
  postgres_unreachable: {
    meaning: "The database cannot be connected to, or the connection was lost.",
    remedy:
      "Check the url and that the server runs and is reachable. Capturing goes on by itself from where it was.",
  },
  postgres_refused: {
    meaning:
      "The database refuses the connection: user, password, database, pg_hba.conf or the right to replicate.",
    remedy: "Correct the url or the role; docs/guide/postgres.md shows a role that works.",
  },
  postgres_failed: {
    meaning: "The database refused a statement of Weir.",
    remedy: "Read the message, which is the server's; run weir check.",
  },
  postgres_version: {
    meaning: "The server is older than PostgreSQL 10, or newer than what Weir was tested with.",
    remedy: "Use PostgreSQL 10 to 18.",
  },
  postgres_standby: {
    meaning: "The server is a standby, which takes no publications.",
    remedy: "Connect to the primary.",
  },
  postgres_wal_level: {
    meaning: "The server's write-ahead log does not hold what logical replication needs.",
    remedy: "Set wal_level = logical (rds.logical_replication = 1 on Amazon RDS) and restart the server.",
  },
  postgres_encoding: {
    meaning: "The database declares no encoding, so its texts may be anything.",
    remedy: "Rows that are not UTF-8 go to quarantine; move the data to a database with an encoding.",
  },
  postgres_privilege: {
    meaning: "The role lacks a privilege.",
    remedy: "Grant what the message names; docs/guide/postgres.md shows a role that works.",
  },
  postgres_no_tables: {
    meaning: "A list of tables names none.",
    remedy: "Correct the pattern; names are as the database has them, without quotes.",
  },
  postgres_tag_unmatched: {
    meaning:
      "A tag of personal data names a table or column that is not captured. What it means to hide may come under another name, as it is.",
    remedy:
      "Correct the name in pii: a column that was renamed needs its tag under the new name. What came meanwhile stays as it is.",
  },
  postgres_table_unfit: {
    meaning:
      "A pattern names something whose changes are not in the write-ahead log: a view, an unlogged or foreign table.",
    remedy: "Exclude it with a pattern that begins with !, or make it a logged table.",
  },
  postgres_table_without_key: {
    meaning: "Nothing identifies the rows of a table, so their changes cannot be captured.",
    remedy: "Give it a primary key or another replica identity.",
  },
  postgres_row_security: {
    meaning: "Row security policies hide rows of a table from the role.",
    remedy: "Run ALTER ROLE ... BYPASSRLS for the role.",
  },
  postgres_publication: {
    meaning: "The publication does not publish what the project wants, or more than is good.",
    remedy: "Run the SQL that the message shows, as the owner of the tables.",
  },
  postgres_slots_used: {
    meaning: "The server has no replication slot, or no sender, left.",
    remedy:
      "Drop slots that nobody uses (pg_replication_slots), or raise max_replication_slots and max_wal_senders.",
  },
  postgres_slot_wait: {
    meaning: "A replication slot cannot be created, as the server waits for transactions that go on.",
    remedy: "End the transactions that the message names; it is tried again by itself.",
  },
  postgres_slot_active: {
    meaning: "Somebody else reads from the replication slot.",
    remedy: "Stop the other Weir, or give this source a slot of its own (slot: ...).",
  },
  postgres_slot_foreign: {
    meaning: "The replication slot of this name is not one that Weir made for this database.",
    remedy: "Give the source another slot name (slot: ...).",
  },
  postgres_slot_exists: {
    meaning:
      "There is a replication slot of this name although nothing was captured yet, or the position was lost.",
    remedy:
      'If no other Weir uses it, drop it (SELECT pg_drop_replication_slot(...)) and start again, or declare the source with onGap: "snapshot".',
  },
  postgres_slot_missing: {
    meaning:
      "The replication slot was dropped, or did not survive a failover. Changes since cannot be streamed.",
    remedy:
      'Declare the source with onGap: "snapshot" and start again: all tables are read again, and what was loaded stays until then.',
  },
  postgres_slot_ahead: {
    meaning:
      "The replication slot was moved on by somebody else, or Weir's data directory is an older copy. Changes between were lost.",
    remedy:
      'Find out who moved it. Then declare the source with onGap: "snapshot" and start again: all tables are read again.',
  },
  postgres_slot_lost: {
    meaning:
      "The server gave up the replication slot, as it held back more write-ahead log than it may. All tables are read again.",
    remedy: "Raise max_slot_wal_keep_size, and see that Weir keeps running.",
  },
  postgres_wal_budget: {
    meaning:
      "The replication slot holds back much of the write-ahead log that it may, or may hold back any amount.",
    remedy: "See that Weir runs and keeps up (weir status), or raise max_slot_wal_keep_size.",
  },
  postgres_system_changed: {
    meaning: "The url leads to another database than what was captured so far.",
    remedy:
      'Correct the url. If the database was moved on purpose, declare the source with onGap: "snapshot": all tables are read again.',
  },

  // Capture: Salesforce
  salesforce_auth_failed: {
    meaning: "Salesforce does not let the source in.",
    remedy:
      "Check the connected app, its user and the secrets in the project file; the message has Salesforce's reason.",
  },
  salesforce_object_unavailable: {
    meaning: "The user of the source cannot query an object, or it cannot be read incrementally.",
    remedy: "Give the user read access to the object, or take it out of the source's objects.",
  },
  salesforce_request_failed: {
    meaning: "Salesforce refused a request, or kept failing on it. It is tried again after a growing delay.",
    remedy: "The message has Salesforce's reason.",
  },
  salesforce_quota_reached: {
    meaning:
      "The source has used its share of the organisation's daily API requests, or others have used up nearly all.",
    remedy: "It goes on by itself as the 24 hours move on. Raise quotaShare, or poll less often (every).",
  },
  salesforce_many_missing: {
    meaning:
      "A comparison of ids found so many rows gone that it looks like lost permissions; none was deleted.",
    remedy: "Check what the user may see. If the rows are gone, raise compareMaxMissing for one comparison.",
  },

  // Capture: Stripe
  stripe_auth_failed: {
    meaning: "Stripe does not accept the API key of the source.",
    remedy: "Give the source a secret or restricted key of the account, with read permissions.",
  },
  stripe_permission_missing: {
    meaning: "The API key may not read something that the source is to read.",
    remedy: "Allow the restricted key to read it, or take the object out of the source's objects.",
  },
  stripe_request_failed: {
    meaning: "Stripe refused a request, or kept failing on it. It is tried again after a growing delay.",
    remedy: "The message has Stripe's reason.",
  },
  stripe_version_differs: {
    meaning: "Stripe renders events in another API version than the source is pinned to.",
    remedy:
      "Create the webhook endpoint with the version that the source declares, or declare the endpoint's.",
  },
} as const satisfies Record<string, ErrorCodeEntry>;
