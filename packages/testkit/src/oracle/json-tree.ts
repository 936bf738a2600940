/**
 * A JSON text as a tree that keeps numbers as they were written. Part of the oracle: written for clarity, and sharing no
 * code with the compiler or the engine.
 */
export type JsonTree =
  | { readonly kind: "object"; readonly members: ReadonlyMap<string, JsonTree> }
  | { readonly kind: "array"; readonly items: readonly JsonTree[] }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "number"; readonly token: string }
  | { readonly kind: "boolean"; readonly value: boolean }
  | { readonly kind: "null" };

const tokens = /[{}[\],:]|"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/** @param text strict JSON without white space outside strings */
export function jsonTree(text: string): JsonTree {
  let at = 0;
  const next = (): string => {
    tokens.lastIndex = at;
    const token = tokens.exec(text)?.[0];
    if (token === undefined) throw new Error(`no JSON at ${at} of ${text}`);
    at += token.length;
    return token;
  };
  const object = (): JsonTree => {
    const members = new Map<string, JsonTree>();
    for (let token = next(); token !== "}"; token = next()) {
      const name = JSON.parse(token === "," ? next() : token) as string;
      next();
      members.set(name, value(next()));
    }
    return { kind: "object", members };
  };
  const array = (): JsonTree => {
    const items: JsonTree[] = [];
    for (let token = next(); token !== "]"; token = next()) items.push(value(token === "," ? next() : token));
    return { kind: "array", items };
  };
  const value = (token: string): JsonTree => {
    if (token === "{") return object();
    if (token === "[") return array();
    if (token === "null") return { kind: "null" };
    if (token === "true" || token === "false") return { kind: "boolean", value: token === "true" };
    if (token.startsWith('"')) return { kind: "string", value: JSON.parse(token) as string };
    return { kind: "number", token };
  };
  const tree = value(next());
  if (at !== text.length) throw new Error(`more after the JSON at ${at} of ${text}`);
  return tree;
}

/**
 * What a JSON column keeps of a tree: whole numbers written as such to the last digit, other numbers as the nearest
 * double (or as written where there is none), and no order of members. Two trees keep the same if these are equal.
 */
export function keptJson(tree: JsonTree): unknown {
  switch (tree.kind) {
    case "object":
      return { object: new Map([...tree.members].map(([name, member]) => [name, keptJson(member)])) };
    case "array":
      return tree.items.map(keptJson);
    case "string":
      return tree.value;
    case "boolean":
      return tree.value;
    case "null":
      return null;
    case "number": {
      if (/^-?\d+$/.test(tree.token)) return BigInt(tree.token);
      const double = Number(tree.token);
      return Number.isFinite(double) ? { double: double + 0 } : { token: tree.token.toLowerCase() };
    }
  }
}
