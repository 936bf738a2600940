import type { Statement, TableParts } from "../program.ts";
import { ident, lines, text } from "../sql.ts";
import type { IdentityLink, IdentitySpec } from "../table.ts";
import { componentsQuery } from "./components.ts";
import type { TableScope } from "./dialect.ts";
import { affectedTable, changedStatement, changedTable, eventsView, stateTable } from "./events.ts";
import { fieldSql, idSql, movedTable, personsView } from "./person.ts";
import { freshView, removedTable } from "./rows.ts";

/**
 * Identity. A row an id (node), with the label of its component: the least hash of the component's ids, which is what
 * its person is called.
 *
 * Invariant: two stored ids have one label if and only if records connect them, and the label is the least of their
 * hashes. A batch's ids, with the labels that they have, and its records as edges between labels make a small graph; the
 * components of that graph are what the batch connects, and the least label of one is the least hash of all its ids,
 * stored ones and new ones. So the result depends on the set of records only.
 *
 * Beside the state it leaves, for the tables that are keyed by person (see person.ts)
 *   moved_<table>(_from, _to)                 stored labels that became another
 *   persons_<table>(id_kind, id, person)      at least the batch's ids; all of them where no batch is merged
 */
export function identityProgram(name: string, spec: IdentitySpec, scope: TableScope): TableParts {
  const state = stateTable(name);
  const large = stateTable(largeTable(name));
  return {
    stateTables: [name, largeTable(name)],
    key: ["id_kind", "id"],
    create: [
      {
        name: `state of ${name}`,
        purpose: "One row an id",
        sql: `CREATE TABLE ${state} (id_kind VARCHAR, id VARCHAR, person UUID, _node UUID, _commit UBIGINT)`,
      },
      {
        name: `large persons of ${name}`,
        purpose: "Number of ids of each person that has more than are to be expected",
        sql: `CREATE TABLE ${large} (person UUID, _ids BIGINT)`,
      },
    ],
    build: [],
    changed: withoutBatch(name),
    events: {
      name: `events of ${name}`,
      purpose: "The distinct lists of ids that the batch's records bring",
      sql: `CREATE OR REPLACE TEMP VIEW ${eventsView(name)} AS\n${eventsQuery(spec, scope, freshView)}`,
    },
    merge: [...resolveStatements(name), ...storeStatements(name, spec)],
    retract: retractStatements(name, spec, scope),
    affectedEvents: {
      name: `affected events of ${name}`,
      purpose: "All records of the persons that lost one",
      sql: `CREATE OR REPLACE TEMP VIEW ${eventsView(name)} AS
SELECT * FROM (${eventsQuery(spec, scope, freshView)}) e
WHERE EXISTS (SELECT 1 FROM ${affectedTable(name)} a WHERE a.id_kind = e._ids[1].kind AND a.id = e._ids[1].id)`,
    },
    views: [{ name, sql: `SELECT id_kind, id, person FROM ${state}` }],
    stamped: `SELECT id_kind, id, person, _commit FROM ${state}`,
    invariants: [
      {
        name: `names of persons of ${name}`,
        breaches: `SELECT person FROM ${state} GROUP BY person HAVING min(_node) <> person`,
      },
      {
        name: `large persons of ${name}`,
        breaches: `SELECT * FROM (SELECT person, count(*) AS _ids FROM ${state} GROUP BY person HAVING count(*) > ${spec.warnAbove}) t
FULL JOIN ${large} l ON l.person = t.person WHERE l._ids IS DISTINCT FROM t._ids`,
      },
    ],
    concerns: `SELECT format('{} of more than ${spec.warnAbove} ids; {} has {}',
  CASE WHEN count(*) = 1 THEN '1 person' ELSE count(*) || ' persons' END, arg_max(person, _ids)::VARCHAR, max(_ids)) AS concern
FROM ${large} HAVING count(*) > 0`,
  };
}

const largeTable = (name: string): string => `_${name}__large`;

/** Half of a SHA-256: whoever sends ids can find two that share an MD5, and would join whom they do not know. */
const hashSql = "substr(sha256(concat(id_kind, chr(31), id)), 1, 32)::UUID";

/** `_ids`: the ids of a record, of which there is one at least; of records that bring the same, one. */
function eventsQuery(spec: IdentitySpec, scope: TableScope, from: (contract: string) => string): string {
  const branch = ({ contract, ids }: IdentityLink): string => {
    const columns = ids.map(({ path }, i) => `${idSql(fieldSql(path), spec.ignore)} AS _v${i}`);
    const structs = ids.map(({ kind }, i) => `struct_pack(kind := ${text(kind)}, id := _v${i})`);
    return `SELECT list_filter([${structs.join(", ")}], lambda n: n.id IS NOT NULL) AS _ids
FROM (SELECT DISTINCT ${lines(columns)} FROM ${from(scope.model(contract.name).name)})
WHERE ${ids.map((_, i) => `_v${i} IS NOT NULL`).join(" OR ")}`;
  };
  return spec.links.map(branch).join("\nUNION ALL\n");
}

/** `changed_<table>` and `moved_<table>`, empty; every id has the person that is stored. */
function withoutBatch(name: string): Statement {
  const { name: title, purpose, sql } = changedStatement(name, ["id_kind", "id"], stateTable(name));
  return {
    name: title,
    purpose,
    sql: `${sql};
CREATE OR REPLACE TEMP TABLE ${movedTable(name)} (_from UUID, _to UUID);
CREATE OR REPLACE TEMP VIEW ${personsView(name)} AS SELECT id_kind, id, person FROM ${stateTable(name)}`,
  };
}

/** Leaves `resolved_<table>`: the batch's ids, the label that is stored (or NULL) and the one that they get. */
function resolveStatements(name: string): Statement[] {
  const [links, nodes, joined] = [`links_${name}`, `nodes_${name}`, `joined_${name}`].map(ident);
  const label = "coalesce(n._stored, n._node)";
  return [
    {
      name: `ids of the batch of ${name}`,
      purpose: "One row a record's id",
      sql: `CREATE OR REPLACE TEMP TABLE ${links} AS
SELECT _record, id_kind, id, ${hashSql} AS _node FROM (
  SELECT _record, _id.kind AS id_kind, _id.id AS id FROM (
    SELECT row_number() OVER () AS _record, unnest(_ids) AS _id FROM ${eventsView(name)}))`,
    },
    {
      name: `labels of the batch of ${name}`,
      purpose: "Each id, and the label that is stored",
      sql: `CREATE OR REPLACE TEMP TABLE ${nodes} AS
SELECT n.id_kind, n.id, n._node, t.person AS _stored
FROM (SELECT DISTINCT id_kind, id, _node FROM ${links}) n LEFT JOIN ${stateTable(name)} t ON t._node = n._node`,
    },
    {
      name: `components of the batch of ${name}`,
      purpose: "Labels that records of the batch bring together, and the least of them",
      sql: `CREATE OR REPLACE TEMP TABLE ${joined} AS
SELECT u AS _from, v AS _to FROM (${componentsQuery(`SELECT DISTINCT u, v FROM (
    SELECT ${label} AS u, min(${label}) OVER (PARTITION BY l._record) AS v
    FROM ${links} l JOIN ${nodes} n ON n._node = l._node
  ) WHERE u > v`)})`,
    },
    {
      name: `persons of the batch of ${name}`,
      purpose: "Each id, the label that is stored and the one that it gets",
      sql: `CREATE OR REPLACE TEMP TABLE ${resolvedTable(name)} AS
SELECT n.id_kind, n.id, n._node, n._stored, coalesce(j._to, ${label}) AS person
FROM ${nodes} n LEFT JOIN ${joined} j ON j._from = ${label}`,
    },
  ];
}

const resolvedTable = (name: string): string => ident(`resolved_${name}`);

function storeStatements(name: string, spec: IdentitySpec): Statement[] {
  const state = stateTable(name);
  const large = stateTable(largeTable(name));
  const resolved = resolvedTable(name);
  const [moved, grown, members] = [movedTable(name), ident(`grown_${name}`), ident(`members_${name}`)];
  const relabelled = ident(`relabelled_${name}`);
  return [
    {
      name: `persons of ${name} that grew`,
      purpose: "Stored labels whose component is another than it was",
      sql: `CREATE OR REPLACE TEMP TABLE ${grown} AS
SELECT DISTINCT _stored AS _from, person AS _to FROM ${resolved} WHERE _stored IS NOT NULL
  AND person IN (SELECT person FROM ${resolved} WHERE _stored IS NULL OR _stored <> person);
CREATE OR REPLACE TEMP TABLE ${moved} AS SELECT _from, _to FROM ${grown} WHERE _from <> _to`,
    },
    {
      // Those of large persons are known by number, and only read where the label moves: a value that joins everybody
      // must not make every batch read everybody.
      name: `ids of persons of ${name} that grew`,
      purpose: "Rows of the stored ids of those labels",
      sql: `CREATE OR REPLACE TEMP TABLE ${members} AS
SELECT t.rowid AS _row, g._from, g._to, g._known FROM ${state} t JOIN (
  SELECT g._from, g._to, l.person IS NOT NULL AS _known FROM ${grown} g LEFT JOIN ${large} l ON l.person = g._from
  WHERE g._from <> g._to OR l.person IS NULL
) g ON t.person = g._from`,
    },
    {
      name: `ids of ${name} with another label`,
      purpose: "Stored ids of labels that moved",
      sql: `CREATE OR REPLACE TEMP TABLE ${relabelled} AS
SELECT m._row, t.id_kind, t.id, m._to AS person, t._node FROM ${state} t
JOIN (SELECT _row, _to FROM ${members} WHERE _from <> _to) m ON t.rowid = m._row`,
    },
    {
      // Not an UPDATE: it touches almost every vector of a large table, which DuckDB takes for so much to log that it
      // writes a checkpoint with every commit, and rows of one commit would lie all over the table.
      name: `relabel ${name}`,
      purpose: "They get the label of what they became part of, and new ids theirs",
      sql: `DELETE FROM ${state} WHERE rowid IN (SELECT _row FROM ${relabelled});
INSERT INTO ${state} (id_kind, id, person, _node, _commit)
SELECT id_kind, id, person, _node, getvariable('weir_commit') FROM ${relabelled}
UNION ALL SELECT id_kind, id, person, _node, getvariable('weir_commit') FROM ${resolved} WHERE _stored IS NULL`,
    },
    largeStatement(name, spec.warnAbove),
    {
      name: `changed rows of ${name}`,
      purpose: "Ids that are new or have another label",
      sql: `INSERT INTO ${changedTable(name)}
SELECT id_kind, id FROM ${relabelled}
UNION ALL SELECT id_kind, id FROM ${resolved} WHERE _stored IS NULL`,
    },
    {
      name: `persons by id of ${name}`,
      purpose: "What other tables of this batch look up",
      sql: `CREATE OR REPLACE TEMP VIEW ${personsView(name)} AS SELECT id_kind, id, person FROM ${resolved}`,
    },
  ];
}

function largeStatement(name: string, warnAbove: number): Statement {
  const large = stateTable(largeTable(name));
  const [grown, members, sizes] = [`grown_${name}`, `members_${name}`, `sizes_${name}`].map(ident);
  return {
    name: `large persons of ${name}`,
    purpose: "Numbers of ids of the persons that grew, where they are large",
    sql: `CREATE OR REPLACE TEMP TABLE ${sizes} AS
SELECT person, sum(_n)::BIGINT AS _ids FROM (
  SELECT _to AS person, count(*) AS _n FROM ${members} WHERE NOT _known GROUP BY _to
  UNION ALL SELECT g._to, l._ids FROM ${grown} g JOIN ${large} l ON l.person = g._from
  UNION ALL SELECT person, count(*) FROM ${resolvedTable(name)} WHERE _stored IS NULL GROUP BY person
) GROUP BY person HAVING sum(_n) > ${warnAbove};
DELETE FROM ${large} WHERE person IN (SELECT _from FROM ${grown});
INSERT INTO ${large} (person, _ids) SELECT person, _ids FROM ${sizes}`,
  };
}

/**
 * Drops the components that lose a record; their ids come back from the records that are left, if any has them. What a
 * component's records connect lies within it, so no other is concerned.
 */
function retractStatements(name: string, spec: IdentitySpec, scope: TableScope): Statement[] {
  const state = stateTable(name);
  const affected = affectedTable(name);
  return [
    {
      name: `affected ids of ${name}`,
      purpose: "All ids of the persons that lose a record",
      sql: `CREATE OR REPLACE TEMP TABLE ${affected} AS
SELECT id_kind, id, person FROM ${state} WHERE person IN (
  SELECT t.person FROM ${state} t JOIN (
    SELECT DISTINCT _ids[1].kind AS id_kind, _ids[1].id AS id FROM (${eventsQuery(spec, scope, removedTable)})
  ) r ON r.id_kind = t.id_kind AND r.id = t.id)`,
    },
    {
      name: `changed rows of ${name}`,
      purpose: "Ids that are dropped",
      sql: `INSERT INTO ${changedTable(name)} SELECT id_kind, id FROM ${affected}`,
    },
    {
      name: `drop affected ids of ${name}`,
      purpose: "They are computed anew from the clean zone",
      sql: `DELETE FROM ${state} WHERE person IN (SELECT person FROM ${affected});
DELETE FROM ${stateTable(largeTable(name))} WHERE person IN (SELECT person FROM ${affected})`,
    },
  ];
}
