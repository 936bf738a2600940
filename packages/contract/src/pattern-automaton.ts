/** Running a regular pattern on an automaton: one step a character, whatever the text. */
import type { Assertion, PatternNode } from "./pattern-syntax.ts";

/** More places than this (after repetitions are written out) and a pattern is not run here. */
export const maxPlaces = 2000;
/** States and transitions kept; past it all are dropped and made again as they are needed. */
const maxStates = 1000;
const maxRareSteps = 50_000;

/** A place in the nondeterministic automaton. Numbers are indices of places. */
type Place =
  | { readonly kind: "read"; readonly accepts: (character: number) => boolean; readonly next: number }
  | { readonly kind: "fork"; readonly next: readonly number[] }
  | { readonly kind: "check"; readonly what: Assertion; readonly next: number }
  | { readonly kind: "match" };

/** What stands beside a position in the text. */
type Side = "edge" | "word" | "other";

/** A state of the lazily built deterministic automaton: where the places can be, and what character came before. */
interface State {
  readonly places: readonly number[];
  readonly before: Side;
  /** Next state by ASCII character. */
  readonly steps: (State | undefined)[];
  readonly rareSteps: Map<number, State>;
  matchesAtEnd: boolean | undefined;
}

/**
 * The test of a regular pattern; undefined when the pattern is irregular or too large. It finds a match anywhere in the text, as
 * RegExp.prototype.test does in Unicode mode, in time linear in the text; memory is bounded.
 */
export function automatonTest(pattern: PatternNode): ((text: string) => boolean) | undefined {
  const places: Place[] = [{ kind: "match" }];
  const start = addPlaces(pattern, 0, places);
  if (start === undefined) return undefined;
  const automaton = new Automaton(places, start);
  return (text) => automaton.test(text);
}

/** Adds the places of a node before the place `next`; returns the first, undefined when there would be too many. */
function addPlaces(node: PatternNode, next: number, places: Place[]): number | undefined {
  const add = (place: Place): number | undefined =>
    places.length >= maxPlaces ? undefined : places.push(place) - 1;
  switch (node.kind) {
    case "character":
      return add({ kind: "read", accepts: characterTest(node.source), next });
    case "assertion":
      return add({ kind: "check", what: node.what, next });
    case "irregular":
      return undefined;
    case "sequence":
      return node.parts
        .toReversed()
        .reduce<number | undefined>(
          (after, part) => (after === undefined ? undefined : addPlaces(part, after, places)),
          next,
        );
    case "choice": {
      const options = node.options.map((option) => addPlaces(option, next, places));
      return options.every((option) => option !== undefined)
        ? add({ kind: "fork", next: options })
        : undefined;
    }
    case "repeat":
      return addRepeat(node, next, places);
  }
}

function addRepeat(
  node: PatternNode & { kind: "repeat" },
  next: number,
  places: Place[],
): number | undefined {
  const { body, min, max } = node;
  if (min > maxPlaces || (max !== Infinity && max > maxPlaces)) return undefined;
  let after: number | undefined = next;
  if (max === Infinity) {
    const way: number[] = [];
    after = places.push({ kind: "fork", next: way }) - 1;
    const first = addPlaces(body, after, places);
    if (first === undefined) return undefined;
    way.push(first, next);
  } else {
    for (let i = min; i < max && after !== undefined; i++) {
      const first = addPlaces(body, after, places);
      after =
        first === undefined || places.length >= maxPlaces
          ? undefined
          : places.push({ kind: "fork", next: [first, next] }) - 1;
    }
  }
  for (let i = 0; i < min && after !== undefined; i++) after = addPlaces(body, after, places);
  return after;
}

/** Leaves to the engine what one character of a pattern means: classes, properties, escapes, line ends. */
function characterTest(source: string): (character: number) => boolean {
  const one = new RegExp(`^(?:${source})$`, "u");
  return (character) => one.test(String.fromCodePoint(character));
}

class Automaton {
  readonly #places: readonly Place[];
  readonly #start: number;
  readonly #states = new Map<string, State>();
  #rareSteps = 0;
  /** Where a match has been found already; it leads only to itself. */
  readonly #matched: State = {
    places: [],
    before: "other",
    steps: [],
    rareSteps: new Map(),
    matchesAtEnd: true,
  };

  constructor(places: readonly Place[], start: number) {
    this.#places = places;
    this.#start = start;
  }

  test(text: string): boolean {
    let state = this.#state([this.#start], "edge");
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      let next: State | undefined;
      if (unit < 128) {
        next = state.steps[unit] ??= this.#step(state, unit);
      } else {
        const character = text.codePointAt(at) ?? unit;
        if (character > 0xffff) at++;
        next = state.rareSteps.get(character) ?? this.#rareStep(state, character);
      }
      if (next === this.#matched) return true;
      state = next;
    }
    state.matchesAtEnd ??= this.#reach(state, "edge") === undefined;
    return state.matchesAtEnd;
  }

  #rareStep(state: State, character: number): State {
    const next = this.#step(state, character);
    if (++this.#rareSteps > maxRareSteps) this.#forget();
    state.rareSteps.set(character, next);
    return next;
  }

  #step(state: State, character: number): State {
    const side = isWord(character) ? "word" : "other";
    const reads = this.#reach(state, side);
    if (reads === undefined) return this.#matched;
    // The start is there at every character, as a match may begin anywhere.
    const next = new Set([this.#start]);
    for (const read of reads) if (read.accepts(character)) next.add(read.next);
    return this.#state(
      [...next].sort((a, b) => a - b),
      side,
    );
  }

  /** The characters that can be read next from a state; undefined when the pattern has matched. */
  #reach(state: State, after: Side): (Place & { kind: "read" })[] | undefined {
    const reads: (Place & { kind: "read" })[] = [];
    const seen = new Set<number>();
    const open = [...state.places];
    for (let index = open.pop(); index !== undefined; index = open.pop()) {
      if (seen.has(index)) continue;
      seen.add(index);
      const place = this.#places[index];
      if (place === undefined || place.kind === "match") return undefined;
      if (place.kind === "read") reads.push(place);
      if (place.kind === "fork") open.push(...place.next);
      if (place.kind === "check" && holds(place.what, state.before, after)) open.push(place.next);
    }
    return reads;
  }

  #state(places: readonly number[], before: Side): State {
    const key = `${before}:${places.join(",")}`;
    const known = this.#states.get(key);
    if (known !== undefined) return known;
    if (this.#states.size >= maxStates) this.#forget();
    const state: State = {
      places,
      before,
      steps: Array.from<undefined>({ length: 128 }),
      rareSteps: new Map(),
      matchesAtEnd: undefined,
    };
    this.#states.set(key, state);
    return state;
  }

  #forget(): void {
    for (const state of this.#states.values()) {
      state.steps.fill(undefined);
      state.rareSteps.clear();
    }
    this.#states.clear();
    this.#rareSteps = 0;
  }
}

function holds(what: Assertion, before: Side, after: Side): boolean {
  if (what === "start") return before === "edge";
  if (what === "end") return after === "edge";
  const isBoundary = (before === "word") !== (after === "word");
  return what === "boundary" ? isBoundary : !isBoundary;
}

function isWord(character: number): boolean {
  return (
    (character >= 48 && character <= 57) ||
    (character >= 65 && character <= 90) ||
    (character >= 97 && character <= 122) ||
    character === 95
  );
}
