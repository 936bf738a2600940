/**
 * Which tables a list of patterns names: `public.orders`, `public.*`, `*.audit_?`, `!public.audit_*`. The last pattern that fits a
 * table decides, so exceptions follow what they are exceptions from. `*` stands for any characters, `?` for one, within
 * the name of the schema or of the table. Names are as the database has them, without quotes; a name that holds a dot
 * is matched by `?`.
 */
export class TablePatterns {
  readonly #patterns: readonly { readonly text: string; readonly wanted: boolean; readonly fits: RegExp }[];

  /** @throws RangeError for a pattern that is not `schema.table`, or a list in which all are exceptions */
  constructor(patterns: readonly string[]) {
    this.#patterns = patterns.map((text) => {
      const wanted = !text.startsWith("!");
      const [schema, table, ...rest] = (wanted ? text : text.slice(1)).split(".");
      if (!schema || !table || rest.length > 0)
        throw new RangeError(`${JSON.stringify(text)} is not of the form schema.table`);
      return { text, wanted, fits: new RegExp(`^${glob(schema)}\\.${glob(table)}$`, "su") };
    });
    if (!this.#patterns.some(({ wanted }) => wanted)) throw new RangeError("no pattern names a table");
  }

  /** @throws RangeError as the constructor does */
  static check(patterns: readonly string[]): void {
    void new TablePatterns(patterns).#patterns;
  }

  wants(schema: string, table: string): boolean {
    const name = `${escapeDots(schema)}.${escapeDots(table)}`;
    return this.#patterns.findLast(({ fits }) => fits.test(name))?.wanted ?? false;
  }

  /** The patterns that name none of these tables: a typing error, most likely. */
  idle(tables: readonly { readonly schema: string; readonly table: string }[]): string[] {
    const names = tables.map(({ schema, table }) => `${escapeDots(schema)}.${escapeDots(table)}`);
    return this.#patterns
      .filter(({ fits }) => !names.some((name) => fits.test(name)))
      .map(({ text }) => text);
  }
}

/** Dots inside names become a character that no pattern can hold, as the dot of a pattern separates the names. */
const escapeDots = (name: string): string => name.replaceAll(".", "\0");

const glob = (pattern: string): string =>
  pattern
    .replaceAll(/[\\^$+()[\]{}|/]/g, String.raw`\$&`)
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
