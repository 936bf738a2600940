/** A column as the stream and the catalog describe it. */
export interface Column {
  readonly name: string;
  /** Oid of its type, and what qualifies it (-1: nothing). */
  readonly type: number;
  readonly modifier: number;
}

/** A column as a `schema` record shows it. */
export interface ShownColumn {
  readonly name: string;
  readonly type: string;
  readonly key: boolean;
}

/** Names of types by oid: the built-in ones are read once, others come in the stream before they are used. */
export class TypeNames {
  readonly #names: Map<number, string>;

  constructor(names: Iterable<readonly [oid: number, name: string]>) {
    this.#names = new Map(names);
  }

  set(oid: number, name: string): void {
    this.#names.set(oid, name);
  }

  /** As SQL writes it: `numeric(10,2)`, `character varying(20)`, `timestamp(3) without time zone`. */
  text({ type, modifier }: Column): string {
    const name = this.#names.get(type) ?? `type ${type}`;
    if (modifier < 0) return name;
    const qualified = qualifiers[name.replace(/\[\]$/, "")]?.(modifier);
    if (qualified === undefined) return name;
    const [first = "", ...rest] = name.split(/( with| without|\[)/);
    return `${first}(${qualified})${rest.join("")}`;
  }
}

/** Modifiers of variable-length types count 4 bytes of header (PostgreSQL, VARHDRSZ). */
const length = (modifier: number): string => String(modifier - 4);
const plain = String;

/** See numeric.c: precision in the high half, scale in the low 11 bits, signed since version 15. */
function numeric(modifier: number): string {
  const packed = modifier - 4;
  const scale = ((packed & 0x7ff) ^ 1024) - 1024;
  return `${(packed >> 16) & 0xffff},${scale}`;
}

const qualifiers: Readonly<Record<string, (modifier: number) => string>> = {
  numeric,
  "character varying": length,
  character: length,
  bit: plain,
  "bit varying": plain,
  "timestamp without time zone": plain,
  "timestamp with time zone": plain,
  "time without time zone": plain,
  "time with time zone": plain,
};

/** The members of a `schema` record's row, the same text for the same columns whatever their order. */
export const columnsText = (columns: readonly ShownColumn[]): string =>
  JSON.stringify(
    columns
      .map(({ name, type, key }) => ({ name, type, key }))
      .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)),
  );
