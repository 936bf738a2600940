/** The syntax of regular expressions (ECMA-262, Unicode mode), as far as is needed to run them on an automaton. */

export type PatternNode =
  /** One character: the source of a literal, an escape, a class or a dot. */
  | { readonly kind: "character"; readonly source: string }
  | { readonly kind: "assertion"; readonly what: Assertion }
  | { readonly kind: "sequence"; readonly parts: readonly PatternNode[] }
  | { readonly kind: "choice"; readonly options: readonly PatternNode[] }
  | { readonly kind: "repeat"; readonly body: PatternNode; readonly min: number; readonly max: number }
  /** Look-around or a back reference: what no automaton can run. `body` is empty for the latter. */
  | { readonly kind: "irregular"; readonly body: PatternNode };

export type Assertion = "start" | "end" | "boundary" | "inside";

const nothing: PatternNode = { kind: "sequence", parts: [] };

/** Groups nested deeper than this are not read. */
const maxDepth = 200;

/**
 * The structure of a pattern that `new RegExp(pattern, "u")` accepts; undefined for what is not read here: inline modifiers, and groups
 * nested more than 200 deep. Captures are dropped and greed is ignored, as neither changes whether there is a match.
 */
export function parsePattern(pattern: string): PatternNode | undefined {
  return new Reader(pattern).read();
}

class Reader {
  readonly #text: string;
  #at = 0;
  #depth = 0;
  #isUnknown = false;

  constructor(text: string) {
    this.#text = text;
  }

  read(): PatternNode | undefined {
    const node = this.#choice();
    return this.#isUnknown || this.#at < this.#text.length ? undefined : node;
  }

  #choice(): PatternNode {
    const options = [this.#sequence()];
    while (this.#take("|")) options.push(this.#sequence());
    const [only] = options;
    return options.length === 1 && only !== undefined ? only : { kind: "choice", options };
  }

  #sequence(): PatternNode {
    const parts: PatternNode[] = [];
    while (this.#at < this.#text.length && !this.#sees("|") && !this.#sees(")") && !this.#isUnknown) {
      parts.push(this.#repeated(this.#term()));
    }
    const [only] = parts;
    return parts.length === 1 && only !== undefined ? only : { kind: "sequence", parts };
  }

  #repeated(body: PatternNode): PatternNode {
    const match = /^(?:([*+?])|\{(\d+)(?:(,)(\d*))?\})\??/.exec(this.#text.slice(this.#at, this.#at + 50));
    if (match === null) return body;
    this.#at += match[0].length;
    const [, sign, low, comma, high] = match;
    if (sign !== undefined)
      return { kind: "repeat", body, min: sign === "+" ? 1 : 0, max: sign === "?" ? 1 : Infinity };
    const max = comma === undefined ? Number(low) : high === "" ? Infinity : Number(high);
    return { kind: "repeat", body, min: Number(low), max };
  }

  #term(): PatternNode {
    if (this.#take("^")) return { kind: "assertion", what: "start" };
    if (this.#take("$")) return { kind: "assertion", what: "end" };
    if (this.#sees("(")) return this.#group();
    if (this.#sees("[")) return this.#character(/^\[(?:[^\]\\]|\\[^])*\]/u);
    if (this.#take("\\b")) return { kind: "assertion", what: "boundary" };
    if (this.#take("\\B")) return { kind: "assertion", what: "inside" };
    if (/^\\(?:[1-9]|k)/.test(this.#text.slice(this.#at, this.#at + 2))) {
      this.#character(/^\\(?:[0-9]+|k<[^>]*>)/u);
      return { kind: "irregular", body: nothing };
    }
    return this.#character(
      /^(?:\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u\{[^}]*\}|\\u....|\\x..|\\c.|\\[pP]\{[^}]*\}|\\[^]|[^])/u,
    );
  }

  #group(): PatternNode {
    if (++this.#depth > maxDepth) this.#isUnknown = true;
    const opening =
      /^\((?:\?(?::|=|!|<=|<!|<[^>]*>))?/.exec(this.#text.slice(this.#at, this.#at + 500))?.[0] ?? "(";
    this.#at += opening.length;
    // Inline modifiers, as in (?i:a): newer than the oldest Node that Weir runs on.
    if (opening === "(" && this.#sees("?")) this.#isUnknown = true;
    const body = this.#isUnknown ? nothing : this.#choice();
    if (!this.#take(")")) this.#isUnknown = true;
    this.#depth--;
    return /[=!]$/.test(opening) ? { kind: "irregular", body } : body;
  }

  #character(shape: RegExp): PatternNode {
    const source = shape.exec(this.#text.slice(this.#at))?.[0];
    if (source === undefined) {
      this.#isUnknown = true;
      return nothing;
    }
    this.#at += source.length;
    return { kind: "character", source };
  }

  #sees(text: string): boolean {
    return this.#text.startsWith(text, this.#at);
  }

  #take(text: string): boolean {
    const isThere = this.#sees(text);
    if (isThere) this.#at += text.length;
    return isThere;
  }
}

/** How hard a pattern is for a backtracking engine. */
export interface PatternShape {
  /** It has look-around or back references. */
  readonly isIrregular: boolean;
  /** Every match starts at the start of the text. */
  readonly isAnchored: boolean;
  /** Repetitions without an upper bound. */
  readonly loops: number;
  /** How deep such repetitions are nested. */
  readonly loopDepth: number;
  /** Places where the engine may have to try another way, beside the loops: within `{n}` n times as many, within a loop infinitely many. */
  readonly choices: number;
}

export function shapeOf(node: PatternNode): PatternShape {
  switch (node.kind) {
    case "character":
      return { isIrregular: false, isAnchored: false, loops: 0, loopDepth: 0, choices: 0 };
    case "assertion":
      return { isIrregular: false, isAnchored: node.what === "start", loops: 0, loopDepth: 0, choices: 0 };
    case "irregular":
      return { ...shapeOf(node.body), isIrregular: true, isAnchored: false };
    case "sequence": {
      const shapes = node.parts.map(shapeOf);
      return { ...together(shapes), isAnchored: shapes[0]?.isAnchored === true };
    }
    case "choice": {
      const shapes = node.options.map(shapeOf);
      const sum = together(shapes);
      return {
        ...sum,
        choices: sum.choices + shapes.length - 1,
        isAnchored: shapes.every((shape) => shape.isAnchored),
      };
    }
    case "repeat":
      return repeated(shapeOf(node.body), node.min, node.max);
  }
}

function repeated(body: PatternShape, min: number, max: number): PatternShape {
  const isAnchored = min > 0 && body.isAnchored;
  if (max === Infinity) {
    const loops = body.loops * Math.max(min, 1) + 1;
    return {
      ...body,
      isAnchored,
      loops,
      loopDepth: body.loopDepth + 1,
      choices: body.choices > 0 ? Infinity : 0,
    };
  }
  const choices = max === 0 ? 0 : body.choices * max + max - min;
  return { ...body, isAnchored, loops: body.loops * max, choices };
}

function together(shapes: readonly PatternShape[]): PatternShape {
  return {
    isIrregular: shapes.some((shape) => shape.isIrregular),
    isAnchored: false,
    loops: shapes.reduce((sum, shape) => sum + shape.loops, 0),
    loopDepth: Math.max(0, ...shapes.map((shape) => shape.loopDepth)),
    choices: shapes.reduce((sum, shape) => sum + shape.choices, 0),
  };
}
