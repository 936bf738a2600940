/** A field as `describe` has it, as far as a reader needs. */
export interface StandField {
  readonly name: string;
  readonly type: string;
  readonly length?: number;
  readonly precision?: number;
  readonly scale?: number;
  readonly calculated?: boolean;
}

export type StandValue = string | number | boolean | null;
export type StandValues = Readonly<Record<string, StandValue>>;

/** A state of a row, from when it can be seen. */
interface State {
  readonly visibleMs: number;
  readonly values: StandValues;
}

/** A row as queries see it at some time. */
export interface SeenRow {
  readonly Id: string;
  readonly values: StandValues;
}

/** Fields that every object has. */
export const systemFields: readonly StandField[] = [
  { name: "Id", type: "id", length: 18 },
  { name: "IsDeleted", type: "boolean" },
  { name: "CreatedDate", type: "datetime" },
  { name: "SystemModstamp", type: "datetime" },
];

/**
 * The rows of one object, with what becomes visible late, is in the recycle bin, or is gone for good. Times have whole seconds, as
 * Salesforce's have.
 */
export class StandObject {
  readonly name: string;
  fields: StandField[];
  readonly keyPrefix: string;
  readonly #now: () => number;
  readonly #rows = new Map<string, State[]>();
  /** Deletions as `getDeleted` tells them. */
  readonly deletions: { id: string; deletedMs: number }[] = [];
  /** Values that are not stored: the same for all rows, or by row. */
  readonly formulas = new Map<string, (id: string) => StandValue>();
  #serial = 0;

  constructor(name: string, keyPrefix: string, fields: readonly StandField[], now: () => number) {
    this.name = name;
    this.keyPrefix = keyPrefix;
    this.fields = [...systemFields, ...fields];
    this.#now = now;
  }

  get ids(): string[] {
    return [...this.#rows.keys()];
  }

  insert(values: StandValues, lagMs = 0): string {
    const serial = (this.#serial++).toString(36).padStart(12, "0");
    const id = `${this.keyPrefix}${serial}AAA`;
    const stamp = this.#stamp();
    const given = Object.fromEntries(this.fields.map(({ name }) => [name, null]));
    const row = { ...given, ...values, Id: id, IsDeleted: false, CreatedDate: stamp, SystemModstamp: stamp };
    this.#rows.set(id, [{ visibleMs: this.#now() + lagMs, values: row }]);
    return id;
  }

  update(id: string, values: StandValues, lagMs = 0): void {
    const states = this.#states(id);
    const latest = states.at(-1)!;
    // Nobody sees a later state before an earlier one.
    const visibleMs = Math.max(latest.visibleMs, this.#now() + lagMs);
    states.push({ visibleMs, values: { ...latest.values, ...values, SystemModstamp: this.#stamp() } });
  }

  /** Into the recycle bin. */
  remove(id: string, lagMs = 0): void {
    this.update(id, { IsDeleted: true }, lagMs);
    this.deletions.push({ id, deletedMs: Date.parse(this.#stamp()) });
  }

  restore(id: string, lagMs = 0): void {
    this.update(id, { IsDeleted: false }, lagMs);
    const at = this.deletions.findIndex((deletion) => deletion.id === id);
    if (at >= 0) this.deletions.splice(at, 1);
  }

  /** Out of the recycle bin, or at once: no query has it any more. Without `told`, not even the list of deletions. */
  purge(id: string, told: boolean): void {
    this.#rows.delete(id);
    const at = this.deletions.findIndex((deletion) => deletion.id === id);
    if (told && at < 0) this.deletions.push({ id, deletedMs: Date.parse(this.#stamp()) });
    if (!told && at >= 0) this.deletions.splice(at, 1);
  }

  /** What a query sees now. */
  seen(id: string): SeenRow | undefined {
    const state = this.#rows.get(id)?.findLast(({ visibleMs }) => visibleMs <= this.#now());
    return state === undefined ? undefined : { Id: id, values: this.#withFormulas(id, state.values) };
  }

  /** What is stored, visible or not. */
  stored(id: string): SeenRow | undefined {
    const state = this.#rows.get(id)?.at(-1);
    return state === undefined ? undefined : { Id: id, values: this.#withFormulas(id, state.values) };
  }

  isDeleted(id: string): boolean {
    return this.#states(id).at(-1)!.values["IsDeleted"] === true;
  }

  #withFormulas(id: string, values: StandValues): StandValues {
    const computed = [...this.formulas].map(([name, compute]) => [name, compute(id)] as const);
    return { ...values, ...Object.fromEntries(computed) };
  }

  #states(id: string): State[] {
    const states = this.#rows.get(id);
    if (states === undefined) throw new Error(`${this.name} has no row ${id}`);
    return states;
  }

  #stamp(): string {
    return new Date(Math.floor(this.#now() / 1000) * 1000).toISOString();
  }
}
