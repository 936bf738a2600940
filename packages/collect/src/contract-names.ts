import { type Contract, cutText } from "@weir/contract";
import type { Scanner } from "./scan.ts";

/** A contract as a record names it: column 3 of its log line, and the declaration if the source has one by that name. */
export interface NamedContract {
  /** UTF-8 of the column; no TAB, LF, CR, NUL. */
  readonly column: Uint8Array;
  readonly contract: Contract | undefined;
}

export const unnamed: NamedContract = { column: new Uint8Array(0), contract: undefined };

const utf8 = new TextEncoder();
const maxNameLength = 200;
/** Slots of the cache from sent bytes to contracts; and how many sent names are remembered at all. */
const cacheSlots = 256;
const maxRemembered = 4096;

interface CacheEntry {
  readonly sent: Uint8Array;
  readonly named: NamedContract;
}

/** Finds the contract that a client means by a name: of the contracts of one source, by name, name@version or alias. */
export class ContractNames {
  /** The source's contract, if it has exactly one. */
  readonly only: NamedContract | undefined;
  readonly #bySentName = new Map<string, Contract>();
  readonly #remembered = new Map<string, NamedContract>();
  readonly #cache: (CacheEntry | undefined)[] = Array.from({ length: cacheSlots });

  constructor(contracts: readonly Contract[]) {
    for (const contract of contracts) {
      for (const sent of [contract.name, ...contract.aliases]) this.#bySentName.set(sent, contract);
    }
    const [only, ...others] = contracts;
    this.only = only !== undefined && others.length === 0 ? this.find(only.name) : undefined;
  }

  /** True if one of the source's contracts goes by this name or alias. */
  knows(sent: string): boolean {
    return this.#bySentName.has(sent);
  }

  /** What the name stands for. An alias becomes the contract's name; a name nobody declared stays as it is. */
  find(sent: string): NamedContract {
    if (sent === "") return unnamed;
    let named = this.#remembered.get(sent);
    if (named === undefined) {
      named = this.#resolve(sent);
      // Bounded against clients that invent names; the declared ones are found again at once.
      if (this.#remembered.size >= maxRemembered) this.#remembered.clear();
      this.#remembered.set(sent, named);
    }
    return named;
  }

  #resolve(sent: string): NamedContract {
    const exact = this.#bySentName.get(sent);
    if (exact !== undefined) return { column: utf8.encode(exact.name), contract: exact };
    const [name = ""] = sent.split("@", 1);
    return { column: utf8.encode(columnText(sent)), contract: this.#bySentName.get(name) };
  }

  /** `find` for the member `type` of the scanned record; undefined if it has none or an empty one. Allocates nothing for known names. */
  findType(scanner: Scanner): NamedContract | undefined {
    const { bytes, typeStart: start, typeEnd: end } = scanner;
    const size = end - start;
    if (start < 0 || size === 0) return undefined;
    if (scanner.typeEscaped) return this.find(scanner.text(start, end));
    const slot =
      (bytes[start]! * 7 + bytes[end - 1]! * 31 + bytes[start + (size >> 1)]! * 131 + size) % cacheSlots;
    const cached = this.#cache[slot];
    if (cached !== undefined && sameBytes(cached.sent, bytes, start, size)) return cached.named;
    const named = this.find(scanner.text(start, end));
    this.#cache[slot] = { sent: bytes.slice(start, end), named };
    return named;
  }
}

function sameBytes(sent: Uint8Array, bytes: Uint8Array, start: number, size: number): boolean {
  if (sent.length !== size) return false;
  for (let i = 0; i < size; i++) if (sent[i] !== bytes[start + i]) return false;
  return true;
}

/** A name as column 3 can hold it: control characters become `_`, and 200 characters are kept. */
function columnText(name: string): string {
  return cutText(name.replaceAll(/\p{Cc}/gu, "_"), maxNameLength);
}

/**
 * The name of a contract made of a free text such as a Segment event name: `Product Viewed`, `ProductViewed` and `product-viewed`
 * are all `product_viewed`. Accents are dropped, words split where lower case meets upper case, and everything that is
 * not a letter or digit of ASCII becomes one `_`. A text of which no contract name can be made (`日本`, `3D`) is returned unchanged.
 */
export function normalisedName(text: string): string {
  const name = text
    .normalize("NFKD")
    .replaceAll(/\p{M}/gu, "")
    .replaceAll(/([a-z0-9])([A-Z])/g, "$1_$2")
    .replaceAll(/([A-Z])([A-Z][a-z])/g, "$1_$2")
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "_")
    .replaceAll(/^_+|_+$/g, "");
  return /^[a-z]/.test(name) ? name : text;
}
