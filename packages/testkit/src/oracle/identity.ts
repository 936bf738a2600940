import { createHash } from "node:crypto";
import type { Contract } from "@weir/contract";
import { fieldAt, keyOf, valueAt } from "./fields.ts";
import type { Scalar } from "./fields.ts";
import type { CleanRecord } from "./outcome.ts";

/** What an identity table is to compute; the compiler's declarations have this shape. */
export interface IdentityDeclaration {
  readonly kind: "identity";
  readonly links: readonly {
    readonly contract: Contract;
    readonly ids: readonly { readonly kind: string; readonly path: string }[];
  }[];
  readonly ignore: readonly string[];
}

/** An id as a node of the graph. */
interface Id {
  readonly kind: string;
  readonly id: string;
}

/** Who is who over a clean set: ids that a record brings together are of one person, by union and find. */
export class Persons {
  readonly #declaration: IdentityDeclaration;
  readonly #ids = new Map<string, Id>();
  readonly #parents = new Map<string, string>();
  /** What each root's person is called. */
  readonly #names = new Map<string, string>();

  constructor(declaration: IdentityDeclaration, clean: readonly CleanRecord[]) {
    this.#declaration = declaration;
    for (const record of clean) {
      for (const { contract, ids } of declaration.links) {
        if (contract.name !== record.contract.name) continue;
        const [first, ...others] = ids.flatMap(({ kind, path }) => this.#idAt(record, kind, path) ?? []);
        if (first === undefined) continue;
        this.#add(first);
        for (const other of others) this.#join(first, other);
      }
    }
    for (const [key, id] of this.#ids) {
      const root = this.#rootOf(key);
      const name = nameOf(id);
      const known = this.#names.get(root);
      if (known === undefined || name < known) this.#names.set(root, name);
    }
  }

  /** The rows of the table. */
  rows(): { id_kind: string; id: string; person: string }[] {
    return [...this.#ids].map(([key, { kind, id }]) => ({ id_kind: kind, id, person: this.#nameAt(key) }));
  }

  /** The person of a record by the first of the fields that has an id; null where none has. */
  of(record: CleanRecord, paths: readonly string[]): string | null {
    for (const path of paths) {
      for (const { contract, ids } of this.#declaration.links) {
        const field = ids.find((one) => one.path === path);
        if (contract.name !== record.contract.name || field === undefined) continue;
        const id = this.#idAt(record, field.kind, path);
        if (id !== undefined) return this.#nameAt(keyOfId(id));
      }
    }
    return null;
  }

  #idAt(record: CleanRecord, kind: string, path: string): Id | undefined {
    const value: Scalar = valueAt(record.value, path, fieldAt(record.contract, path));
    const id = String(value);
    return value === null || id === "" || this.#declaration.ignore.includes(id) ? undefined : { kind, id };
  }

  #add(id: Id): string {
    const key = keyOfId(id);
    this.#ids.set(key, id);
    if (!this.#parents.has(key)) this.#parents.set(key, key);
    return key;
  }

  #join(a: Id, b: Id): void {
    this.#parents.set(this.#rootOf(this.#add(b)), this.#rootOf(this.#add(a)));
  }

  #rootOf(key: string): string {
    let root = key;
    for (let parent = this.#parents.get(root); parent !== root; parent = this.#parents.get(root)) {
      if (parent === undefined) throw new Error(`no such id: ${key}`);
      root = parent;
    }
    this.#parents.set(key, root);
    return root;
  }

  #nameAt(key: string): string {
    return this.#names.get(this.#rootOf(key)) ?? "";
  }
}

const keyOfId = ({ kind, id }: Id): string => keyOf([kind, id]);

/** What a person is called whose least id this is: half of a SHA-256, written as a UUID. */
function nameOf({ kind, id }: Id): string {
  const hex = createHash("sha256").update(`${kind}\u001f${id}`).digest("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    "-",
  );
}
