/**
 * Types of columns over time. Files written under an older type of a column are read under the newer one, so a type
 * may only change where every value stays what it was.
 */
type ColumnType =
  | { readonly kind: "scalar"; readonly name: string }
  | { readonly kind: "decimal"; readonly precision: number; readonly scale: number }
  | { readonly kind: "list"; readonly item: ColumnType }
  | { readonly kind: "map"; readonly value: ColumnType }
  | { readonly kind: "struct"; readonly fields: ReadonlyMap<string, ColumnType> };

/**
 * Whether values of the SQL type `from` are the same values under `to`: the types are equal, a decimal got more digits
 * on either side of the point and fewer on none, or an object got or lost members.
 */
export function keepsValues(from: string, to: string): boolean {
  return widens(new TypeReader(from).read(), new TypeReader(to).read());
}

/** The stored columns of a contract. */
export type Columns = readonly { readonly name: string; readonly type: string }[];

/** A column whose stored values would be others under its new type, or could not be read at all: an engine does not start with it. */
export interface ChangedColumn {
  readonly name: string;
  readonly from: string;
  readonly to: string;
}

/** @param known all columns that the contract ever had, as {@link knownColumns} keeps them */
export function changedColumns(known: Columns, now: Columns): ChangedColumn[] {
  // SQL ignores case, and so do the names of columns in files.
  const types = new Map(now.map(({ name, type }) => [name.toLowerCase(), type]));
  return known.flatMap(({ name, type: from }) => {
    const to = types.get(name.toLowerCase());
    return to === undefined || keepsValues(from, to) ? [] : [{ name, from, to }];
  });
}

/** The columns of now, and those that went: what they held is in the files, and no other type may take their names. */
export function knownColumns(known: Columns, now: Columns): Columns {
  const names = new Set(now.map(({ name }) => name.toLowerCase()));
  return [...now, ...known.filter(({ name }) => !names.has(name.toLowerCase()))];
}

function widens(from: ColumnType, to: ColumnType): boolean {
  if (from.kind === "scalar" && to.kind === "scalar") return from.name === to.name;
  if (from.kind === "decimal" && to.kind === "decimal") {
    return to.scale >= from.scale && to.precision - to.scale >= from.precision - from.scale;
  }
  if (from.kind === "list" && to.kind === "list") return widens(from.item, to.item);
  if (from.kind === "map" && to.kind === "map") return widens(from.value, to.value);
  if (from.kind === "struct" && to.kind === "struct") {
    const shared = [...from.fields].flatMap(([name, type]) => {
      const other = to.fields.get(name);
      return other === undefined ? [] : [[type, other] as const];
    });
    // DuckDB casts objects by member name, and refuses where no name is shared.
    return shared.length > 0 && shared.every(([type, other]) => widens(type, other));
  }
  return false;
}

/** Reads types as `sqlType` writes them: `DECIMAL(12, 2)`, `STRUCT("a b" VARCHAR, "c" DATE[])`, `MAP(VARCHAR, JSON)`. */
class TypeReader {
  #rest: string;

  constructor(sql: string) {
    this.#rest = sql;
  }

  read(): ColumnType {
    let type = this.#base();
    while (this.#take(/^\[\]/) !== undefined) type = { kind: "list", item: type };
    return type;
  }

  #base(): ColumnType {
    const decimal = this.#take(/^DECIMAL\((\d+), (\d+)\)/);
    if (decimal !== undefined)
      return { kind: "decimal", precision: Number(decimal[1]), scale: Number(decimal[2]) };
    if (this.#take(/^MAP\(VARCHAR, /) !== undefined) {
      const value = this.read();
      this.#take(/^\)/);
      return { kind: "map", value };
    }
    if (this.#take(/^STRUCT\(/) !== undefined) {
      const fields = new Map<string, ColumnType>();
      do {
        const name = this.#take(/^"((?:[^"]|"")*)" /)?.[1] ?? "";
        fields.set(name, this.read());
      } while (this.#take(/^, /) !== undefined);
      this.#take(/^\)/);
      return { kind: "struct", fields };
    }
    return { kind: "scalar", name: this.#take(/^\w+/)?.[0] ?? this.#rest };
  }

  #take(pattern: RegExp): RegExpExecArray | undefined {
    const found = pattern.exec(this.#rest) ?? undefined;
    if (found !== undefined) this.#rest = this.#rest.slice(found[0].length);
    return found;
  }
}
