import { isUtf8 } from "node:buffer";
import type { ErrorCode } from "@weir/contract";
import type { CapturedRecord } from "../capture.ts";
import type { TypeNames } from "./columns.ts";
import { hex8, instantText, versionLsn } from "./lsn.ts";
import type { Epoch, Lsn } from "./lsn.ts";
import { readRelation, relationOf } from "./relation.ts";
import type { Relation, RelationMessage, Target } from "./relation.ts";
import { changeLine, keyText, maxRowBytes, rowText, withinBounds } from "./row-text.ts";
import type { Value } from "./row-text.ts";

/** Values that a change of a key left out, to be read from the table. */
export interface Reread {
  readonly relation: Relation;
  readonly key: readonly string[];
  /** Indexes of the columns whose values are wanted. */
  readonly columns: readonly number[];
  /** The version of what is read begins with this. */
  readonly version: string;
  /** The transaction that made the change, and when it was committed. */
  readonly xid: number;
  readonly at: string;
}

/** What came out of a run of messages. */
export interface ChangeBatch {
  readonly records: CapturedRecord[];
  /** Characters of the records' texts. */
  size: number;
  /** Where the log continues behind the last transaction that is whole in this batch or those before it. */
  end: Lsn | undefined;
  /** When that was committed. */
  endAt: string | undefined;
  readonly rereads: Reread[];
  /** Columns of streams as their last `schema` record in this batch has them (see `columnsText`). */
  readonly schemas: Map<string, string>;
  /** Streams whose rows went in a way that no record can say: they have to be read again. */
  readonly truncatedParts: Set<string>;
}

export interface ChangeReaderOptions {
  /** Contract of the records: the source's name. */
  readonly source: string;
  readonly epoch: Epoch;
  readonly types: TypeNames;
  /** Where changes of a relation go; undefined: nowhere. Asked for each RELATION message, and by `retarget`. */
  readonly target: (message: RelationMessage) => Target | undefined;
  /** Columns of a stream as the last `schema` record has them; undefined: there is none. */
  readonly columnsOf: (stream: string) => string | undefined;
  /** The database stores bytes in no declared encoding, so texts may not be UTF-8. */
  readonly unencoded?: boolean;
}

/**
 * Ordinals that each change takes, from `firstOrdinal`, so that the version of a change depends on nothing but its
 * place in its transaction: the columns that it was the first to have, the row it removes, the row it leaves, what of
 * that row had to be read from the table.
 */
const ordinals = { schema: 0, removed: 1, left: 2, reread: 3, each: 4 } as const;

/** Types of messages, and parts of them, by their letters. */
const letter = {
  begin: 0x42,
  commit: 0x43,
  relation: 0x52,
  type: 0x59,
  insert: 0x49,
  update: 0x55,
  delete: 0x44,
  truncate: 0x54,
  newRow: 0x4e,
  oldKey: 0x4b,
  null: 0x6e,
  text: 0x74,
} as const;

/** Below it are the fence (0) and the rows (1) of a snapshot at the same position. */
const firstOrdinal = 2;

/**
 * Makes change records of the messages of `pgoutput`, protocol version 1. Pure: no input or output, and the same
 * messages give the same records, wherever a restart made them begin.
 */
export class ChangeReader {
  readonly #options: ChangeReaderOptions;
  readonly #messages = new Map<number, RelationMessage>();
  readonly #relations = new Map<number, Relation | undefined>();
  readonly #columns = new Map<string, string>();
  #batch = emptyBatch();
  #inTransaction = false;
  #prefix = "";
  #at = "";
  #xid = 0;
  #changes = 0;
  /** First column of the tuple just read that is not UTF-8, and where reading ended. */
  #broken: number | undefined;
  #next = 0;
  #tupleBytes = 0;

  constructor(options: ChangeReaderOptions) {
    this.#options = options;
  }

  /** Whether the last transaction that began has not ended. */
  get inTransaction(): boolean {
    return this.#inTransaction;
  }

  get batch(): Readonly<ChangeBatch> {
    return this.#batch;
  }

  /** What came since the last call. */
  take(): ChangeBatch {
    const batch = this.#batch;
    this.#batch = emptyBatch();
    return batch;
  }

  /** Asks again where the changes of each relation go: the tables were looked at. */
  retarget(): void {
    for (const message of this.#messages.values()) this.#resolve(message);
  }

  /** Reads one message, which lies at `start` to `end` of the buffer. */
  read(buffer: Buffer, start: number, end: number): void {
    const type = buffer[start];
    if (type === letter.insert) this.#insert(buffer, start + 1, end);
    else if (type === letter.update) this.#update(buffer, start + 1, end);
    else if (type === letter.delete) this.#delete(buffer, start + 1, end);
    else if (type === letter.begin) this.#begin(buffer, start + 1);
    else if (type === letter.commit) this.#commit(buffer, start + 1);
    else if (type === letter.relation) this.#relation(buffer, start + 1);
    else if (type === letter.type) this.#type(buffer, start + 1);
    else if (type === letter.truncate) this.#truncate(buffer, start + 1);
    // Origins and logical messages say nothing about rows.
  }

  #begin(buffer: Buffer, at: number): void {
    this.#inTransaction = true;
    this.#prefix = `${versionLsn(this.#options.epoch, buffer.readBigUInt64BE(at) as Lsn)}-`;
    this.#at = instantText(buffer.readBigInt64BE(at + 8));
    this.#xid = buffer.readUInt32BE(at + 16);
    this.#changes = 0;
  }

  #commit(buffer: Buffer, at: number): void {
    this.#inTransaction = false;
    this.#batch.end = buffer.readBigUInt64BE(at + 9) as Lsn;
    this.#batch.endAt = this.#at;
  }

  #relation(buffer: Buffer, at: number): void {
    const message = readRelation(buffer, at);
    this.#messages.set(message.oid, message);
    this.#resolve(message);
  }

  #resolve(message: RelationMessage): void {
    const target = this.#options.target(message);
    this.#relations.set(
      message.oid,
      target === undefined ? undefined : relationOf(message, target, this.#options.types),
    );
  }

  #type(buffer: Buffer, at: number): void {
    const afterSchema = buffer.indexOf(0, at + 4) + 1;
    const name = buffer.toString("utf8", afterSchema, buffer.indexOf(0, afterSchema));
    this.#options.types.set(buffer.readUInt32BE(at), name);
  }

  #insert(buffer: Buffer, at: number, end: number): void {
    const base = this.#ordinal();
    const relation = this.#known(buffer.readUInt32BE(at));
    if (relation === undefined) return;
    this.#schema(relation, base);
    const values = this.#tuple(buffer, at + 5);
    if (this.#refused(relation, "insert", buffer, at, end)) return;
    this.#left(relation, base, "insert", values);
  }

  #update(buffer: Buffer, at: number, end: number): void {
    const base = this.#ordinal();
    const relation = this.#known(buffer.readUInt32BE(at));
    if (relation === undefined) return;
    this.#schema(relation, base);
    let old: Value[] | undefined;
    let next = at + 4;
    if (buffer[next] !== letter.newRow) {
      old = this.#tuple(buffer, next + 1);
      if (this.#refused(relation, "update", buffer, at, end)) return;
      // An old row of the key alone has NULL in all other columns, which is not what they were.
      if (buffer[next] === letter.oldKey) keepIdentity(old, relation);
      next = this.#next;
    }
    const values = this.#tuple(buffer, next + 1);
    this.#tupleBytes = end - at;
    if (this.#refused(relation, "update", buffer, at, end)) return;
    if (old !== undefined) {
      for (let i = 0; i < values.length; i++) values[i] ??= values[i] === undefined ? old[i] : null;
    }
    const before = old === undefined ? undefined : keyText(relation.keyAt, old);
    if (old === undefined || before === keyText(relation.keyAt, values)) {
      this.#left(relation, base, "update", values);
      return;
    }
    this.#removed(relation, base, old);
    this.#left(relation, base, "insert", values);
    this.#reread(relation, base, values);
  }

  #delete(buffer: Buffer, at: number, end: number): void {
    const base = this.#ordinal();
    const relation = this.#known(buffer.readUInt32BE(at));
    if (relation === undefined) return;
    this.#schema(relation, base);
    const old = this.#tuple(buffer, at + 5);
    if (this.#refused(relation, "delete", buffer, at, end)) return;
    this.#removed(relation, base, old);
  }

  #truncate(buffer: Buffer, at: number): void {
    const base = this.#ordinal();
    const count = buffer.readUInt32BE(at);
    for (let i = 0; i < count; i++) {
      const relation = this.#known(buffer.readUInt32BE(at + 5 + 4 * i));
      if (relation === undefined) continue;
      const { schema, table } = relation.message;
      const { stream } = relation.target;
      if (stream !== `${schema}.${table}`) {
        // A partition that is captured as part of its table: the other partitions keep their rows.
        this.#batch.truncatedParts.add(stream);
        continue;
      }
      this.#schema(relation, base);
      this.#emit(relation, base + ordinals.left, "truncate", "[]", "null");
    }
  }

  /** The row that a change leaves. */
  #left(relation: Relation, base: number, op: "insert" | "update", values: Value[]): void {
    if (this.#tupleBytes > maxRowBytes / 8) this.#bound(relation, values);
    const unknown: string[] = [];
    for (let i = 0; i < values.length; i++) {
      if (values[i] === undefined) unknown.push(relation.names[i] ?? "");
    }
    const key = keyText(relation.keyAt, values);
    this.#emit(relation, base + ordinals.left, op, key, rowText(relation.prefixes, values), unknown);
  }

  /** Takes what is too large out of a row, and says so in a record of its own, which goes to quarantine. */
  #bound(relation: Relation, values: Value[]): void {
    const taken = withinBounds(values, relation.prefixes);
    if (taken.length === 0) return;
    const columns = taken.map((i) => relation.names[i]).join(", ");
    this.#unreadable(
      relation,
      "too_large",
      `${relation.target.stream}: values of ${columns} are left out of a row`,
      [Buffer.from(keyText(relation.keyAt, values))],
    );
  }

  /** The row that a change removes. */
  #removed(relation: Relation, base: number, old: readonly Value[]): void {
    const key = relation.keyAt.map((i) => old[i] ?? null);
    this.#emit(
      relation,
      base + ordinals.removed,
      "delete",
      keyText(relation.keyAt, old),
      rowText(relation.keyPrefixes, key),
    );
  }

  /** Under its new key a row has no former state that unchanged values could be taken from. */
  #reread(relation: Relation, base: number, values: readonly Value[]): void {
    const columns = values.flatMap((value, i) => (value === undefined ? [i] : []));
    if (columns.length === 0) return;
    const version = `${this.#prefix}${hex8(base + ordinals.reread)}`;
    const key = relation.keyAt.map((i) => values[i] ?? "");
    this.#batch.rereads.push({ relation, key, columns, version, xid: this.#xid, at: this.#at });
  }

  /** A `schema` record where the columns are not those of the stream's last one. */
  #schema(relation: Relation, base: number): void {
    const { stream } = relation.target;
    const last = this.#columns.get(stream) ?? this.#options.columnsOf(stream);
    if (last === relation.columnsText) return;
    this.#columns.set(stream, relation.columnsText);
    this.#batch.schemas.set(stream, relation.columnsText);
    const row = `{"columns":${JSON.stringify(relation.columns)}}`;
    this.#emit(relation, base + ordinals.schema, "schema", "[]", row);
  }

  #emit(
    relation: Relation,
    ordinal: number,
    op: string,
    key: string,
    row: string,
    unknown?: readonly string[],
  ): void {
    const version = this.#prefix + hex8(ordinal);
    // The server may tell the name that a table had in one run, and the one it has in another.
    const id = `${version}/${relation.target.stream}`;
    const { text, keys } = changeLine({
      id,
      at: this.#at,
      stream: relation.streamText,
      op,
      key,
      version,
      row,
      unknown,
    });
    if (text.length > 4 * maxRowBytes) {
      const detail = `${relation.target.stream}: ${op} of a row whose key has ${key.length} characters`;
      this.#unreadable(relation, "too_large", detail, [Buffer.from(text.slice(0, maxRowBytes))]);
      return;
    }
    this.#batch.records.push({ contract: this.#options.source, text, keys });
    this.#batch.size += text.length;
  }

  /** Whether the tuple just read cannot become a record. It goes to quarantine as it came. */
  #refused(relation: Relation, op: string, buffer: Buffer, start: number, end: number): boolean {
    if (this.#broken === undefined) return false;
    const column = relation.names[this.#broken] ?? "";
    const detail = `${relation.target.stream}: ${op} with bytes in ${column} that are not UTF-8`;
    this.#unreadable(relation, "invalid_utf8", detail, [buffer.subarray(start, end)]);
    return true;
  }

  #unreadable(relation: Relation, error: ErrorCode, detail: string, bytes: Uint8Array[]): void {
    this.#batch.records.push({ contract: this.#options.source, error, detail, bytes: Buffer.concat(bytes) });
    this.#batch.size += relation.streamText.length + detail.length;
  }

  #ordinal(): number {
    return firstOrdinal + ordinals.each * this.#changes++;
  }

  #known(oid: number): Relation | undefined {
    const relation = this.#relations.get(oid);
    if (relation === undefined && !this.#relations.has(oid)) {
      throw new Error(`a change of relation ${oid} came before its description`);
    }
    return relation;
  }

  /** Values of a TupleData; leaves where it ended in `#next`. */
  #tuple(buffer: Buffer, start: number): Value[] {
    const count = buffer.readUInt16BE(start);
    const values: Value[] = Array.from({ length: count });
    let at = start + 2;
    this.#broken = undefined;
    for (let i = 0; i < count; i++) {
      const kind = buffer[at++];
      if (kind === letter.null) values[i] = null;
      else if (kind === letter.text) {
        const from = at + 4;
        at = from + buffer.readUInt32BE(at);
        if (this.#options.unencoded === true && !isUtf8(buffer.subarray(from, at))) this.#broken ??= i;
        values[i] = buffer.toString("utf8", from, at);
      }
    }
    this.#next = at;
    this.#tupleBytes = at - start;
    return values;
  }
}

/**
 * Leaves in an old row what it holds: the columns of the replica identity. A partition may have another one than the
 * table as which it is published, which is the one described: where that says "all columns" this row still holds a key.
 */
function keepIdentity(old: Value[], { message, keyAt }: Relation): void {
  for (let i = 0; i < old.length; i++) {
    const held = message.identity === "f" ? keyAt.includes(i) : message.columns[i]?.identifying;
    if (held !== true) old[i] = undefined;
  }
}

const emptyBatch = (): ChangeBatch => ({
  records: [],
  size: 0,
  end: undefined,
  endAt: undefined,
  rereads: [],
  schemas: new Map(),
  truncatedParts: new Set(),
});
