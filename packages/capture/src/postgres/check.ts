import type { ErrorCode } from "@weir/contract";
import type { Finding } from "../capture.ts";
import { describeTables, listTables, readPublication } from "./catalog.ts";
import type { CatalogTable, Publication } from "./catalog.ts";
import { TablePatterns } from "./patterns.ts";
import { partitionNames, publicationChange, publishes } from "./publication.ts";
import { newestMajor, serverFacts, unfitServer } from "./server-facts.ts";
import type { ServerFacts } from "./server-facts.ts";
import { readSlot } from "./slot.ts";
import type { SlotState } from "./slot.ts";
import type { PostgresSource } from "./source.ts";
import { unmatchedTags } from "./tags.ts";
import type { Wire } from "./wire.ts";

export interface PreflightOptions {
  readonly control: Wire;
  readonly spec: PostgresSource;
  readonly slot: string;
  readonly publication: string;
  readonly where: string;
}

/** Less than this is used up in a moment of heavy writing. */
const smallBudgetBytes = 1024 ** 3;

/** What is wrong with a source, worst first. Changes nothing. */
export async function preflight({
  control,
  spec,
  slot,
  publication,
  where,
}: PreflightOptions): Promise<Finding[]> {
  const facts = await serverFacts(control);
  const findings = new Findings(where);
  const unfit = unfitServer(facts, where);
  if (unfit !== undefined) findings.error(unfit.code, unfit.message);
  if (Math.floor(facts.version / 10000) > newestMajor) {
    findings.warn(
      "postgres_version",
      `PostgreSQL ${facts.versionText} is newer than what Weir was tested with.`,
    );
  }
  if (facts.encoding === "SQL_ASCII") {
    findings.warn(
      "postgres_encoding",
      "The database declares no encoding (SQL_ASCII); rows that are not UTF-8 go to quarantine.",
    );
  }
  await checkRole(control, facts, findings);
  if (facts.version < 100000 || facts.standby) return findings.sorted();
  const state = await readSlot(control, facts.version, slot);
  checkSlot(state, slot, facts, findings);
  await checkRoom(control, state, findings);
  await checkBudget(control, facts, findings);
  await checkTables(control, spec, facts, publication, findings);
  return findings.sorted();
}

class Findings {
  readonly #where: string;
  readonly #found: Finding[] = [];

  constructor(where: string) {
    this.#where = where;
  }

  error(code: ErrorCode, message: string, remedy?: string): void {
    this.#add("error", code, message, remedy);
  }

  warn(code: ErrorCode, message: string, remedy?: string): void {
    this.#add("warn", code, message, remedy);
  }

  sorted(): Finding[] {
    return this.#found.toSorted((a, b) => Number(a.severity === "warn") - Number(b.severity === "warn"));
  }

  #add(severity: Finding["severity"], code: ErrorCode, message: string, remedy?: string): void {
    this.#found.push({
      severity,
      code,
      message,
      where: this.#where,
      ...(remedy === undefined ? {} : { remedy }),
    });
  }
}

/** Managed databases give the privilege through roles of their own. */
async function checkRole(control: Wire, facts: ServerFacts, findings: Findings): Promise<void> {
  const [row] = await control.query(`
    SELECT rolsuper OR rolreplication OR EXISTS (
      SELECT FROM pg_roles g WHERE g.rolname IN ('rds_replication', 'rds_superuser', 'cloudsqlsuperuser', 'azure_pg_admin')
        AND pg_has_role(current_user, g.oid, 'MEMBER'))
    FROM pg_roles WHERE rolname = current_user`);
  if (row?.[0] === "t") return;
  findings.error(
    "postgres_privilege",
    `The role ${facts.role} may not replicate.`,
    `Run ALTER ROLE ${facts.role} REPLICATION (on Amazon RDS: GRANT rds_replication TO ${facts.role}).`,
  );
}

function checkSlot(state: SlotState | undefined, slot: string, facts: ServerFacts, findings: Findings): void {
  if (state === undefined) return;
  if (state.plugin !== "pgoutput" || state.database !== facts.database) {
    findings.error(
      "postgres_slot_foreign",
      `The replication slot ${slot} is of plugin ${state.plugin || "none"} and database ${state.database || "none"}.`,
    );
  }
  if (state.lost !== null) {
    findings.error("postgres_slot_lost", `The server gave up the replication slot ${slot} (${state.lost}).`);
  }
  if (state.budgetBytes !== null && state.retainedBytes > state.budgetBytes / 2) {
    const part = Math.round((100 * state.retainedBytes) / state.budgetBytes);
    findings.warn("postgres_wal_budget", `The replication slot ${slot} holds back ${part} % of what it may.`);
  }
}

/** A slot and a walsender must be left for us, unless we have them already. */
async function checkRoom(control: Wire, state: SlotState | undefined, findings: Findings): Promise<void> {
  const [row = []] = await control.query(`
    SELECT current_setting('max_replication_slots'), (SELECT count(*) FROM pg_replication_slots),
      current_setting('max_wal_senders'), (SELECT count(*) FROM pg_stat_replication)`);
  const [slots = 0, slotsUsed = 0, senders = 0, sendersUsed = 0] = row.map(Number);
  if (state === undefined && slotsUsed >= slots) {
    findings.error(
      "postgres_slots_used",
      `All ${slots} replication slots (max_replication_slots) are in use.`,
    );
  }
  if ((state === undefined || state.activePid === null) && sendersUsed >= senders) {
    findings.error("postgres_slots_used", `All ${senders} senders (max_wal_senders) are in use.`);
  }
}

async function checkBudget(control: Wire, facts: ServerFacts, findings: Findings): Promise<void> {
  if (facts.version < 130000) return;
  const [row] = await control.query("SELECT setting FROM pg_settings WHERE name = 'max_slot_wal_keep_size'");
  const megabytes = Number(row?.[0] ?? -1);
  if (megabytes < 0) {
    findings.warn(
      "postgres_wal_budget",
      "max_slot_wal_keep_size is -1: while Weir does not run, write-ahead log gathers until the server's disk is full.",
      "Set max_slot_wal_keep_size to what the disk can spare; Weir warns when half of it is used.",
    );
  } else if (megabytes * 1024 * 1024 < smallBudgetBytes) {
    findings.warn(
      "postgres_wal_budget",
      `max_slot_wal_keep_size is ${megabytes} MB: after a short pause of Weir all tables have to be read again.`,
    );
  }
}

async function checkTables(
  control: Wire,
  spec: PostgresSource,
  facts: ServerFacts,
  name: string,
  findings: Findings,
): Promise<void> {
  const patterns = new TablePatterns(spec.tables);
  const { oids, names, unfit } = await listTables(control, patterns);
  const tables = await describeTables(control, facts.version, oids);
  const publication = await readPublication(control, facts.version, name);
  if (tables.length === 0) findings.error("postgres_no_tables", "No table fits the list of tables.");
  else {
    for (const pattern of patterns.idle(names)) {
      findings.warn("postgres_no_tables", `${JSON.stringify(pattern)} fits no table.`);
    }
  }
  for (const { stream, why } of unfit) {
    findings.warn("postgres_table_unfit", `${stream} is not captured: it is ${why}.`);
  }
  for (const message of unmatchedTags(spec.pii, tables)) findings.warn("postgres_tag_unmatched", message);
  for (const table of tables) checkTable(table, facts, findings);
  const usable = tables.filter((table) => table.key.length > 0 && table.keyless.length === 0);
  await checkPublication(control, facts, name, publication, usable, findings);
}

function checkTable(table: CatalogTable, facts: ServerFacts, findings: Findings): void {
  const { stream } = table;
  const quoted = `"${table.schema}"."${table.table}"`;
  if (table.key.length === 0 || table.keyless.length > 0) {
    const which =
      table.keyless.length > 0 && table.key.length > 0 ? ` (partitions ${table.keyless.join(", ")})` : "";
    findings.error(
      "postgres_table_without_key",
      `${stream} is not captured: it has neither a primary key nor another replica identity${which}.`,
      `Give it a primary key, or run ALTER TABLE ${quoted} REPLICA IDENTITY FULL: then the whole row is its key, and rows that are equal count as one.`,
    );
  } else if (table.identity === "f" && table.primaryKey.length === 0) {
    findings.warn(
      "postgres_table_without_key",
      `${stream} has no primary key: the whole row is its key, equal rows count as one, and it is read in one piece.`,
    );
  }
  if (!table.readable) {
    findings.error(
      "postgres_privilege",
      `The role ${facts.role} may not read ${stream}.`,
      `Run GRANT USAGE ON SCHEMA "${table.schema}" TO ${facts.role}; GRANT SELECT ON ${quoted} TO ${facts.role}.`,
    );
  }
  if (table.rowSecurity) {
    findings.error(
      "postgres_row_security",
      `Row security hides rows of ${stream} from the role ${facts.role}.`,
      `Run ALTER ROLE ${facts.role} BYPASSRLS.`,
    );
  }
}

async function checkPublication(
  control: Wire,
  facts: ServerFacts,
  name: string,
  publication: Publication | undefined,
  usable: readonly CatalogTable[],
  findings: Findings,
): Promise<void> {
  const missing = usable.filter((table) => !publishes(facts.version, publication, table));
  const [row] = await control.query("SELECT has_database_privilege(current_database(), 'CREATE')");
  const may = publication === undefined ? row?.[0] === "t" : publication.owned;
  if (missing.length > 0 && (!may || missing.some((table) => !table.owned))) {
    const partitions = await partitionNames(control, facts.version, missing);
    const sql = publicationChange(facts.version, name, publication, usable, partitions);
    findings.error(
      "postgres_publication",
      `The publication ${name} ${publication === undefined ? "does not exist" : `lacks ${missing.map(({ stream }) => stream).join(", ")}`}, and the role ${facts.role} may not change that.`,
      `Have the owner of the tables run: ${sql};`,
    );
  }
  if (publication === undefined) return;
  if (publication.missing.length > 0) {
    findings.error(
      "postgres_publication",
      `The publication ${name} leaves out ${publication.missing.join(", ")}.`,
      `Run ALTER PUBLICATION ${name} SET (publish = 'insert, update, delete${facts.version >= 110000 ? ", truncate" : ""}').`,
    );
  }
  if (publication.allTables) {
    findings.warn(
      "postgres_publication",
      `The publication ${name} is FOR ALL TABLES: on tables without a replica identity it makes UPDATE and DELETE fail.`,
    );
  }
  if (facts.version >= 130000 && !publication.viaRoot && usable.some(({ partitioned }) => partitioned)) {
    findings.warn(
      "postgres_publication",
      `The publication ${name} publishes partitions under their own names.`,
      `Run ALTER PUBLICATION ${name} SET (publish_via_partition_root = true).`,
    );
  }
  const limited = publication.tables.filter(({ rowFilter }) => rowFilter !== null);
  for (const { schema, table } of limited) {
    findings.warn("postgres_publication", `The publication ${name} filters rows of ${schema}.${table}.`);
  }
}
