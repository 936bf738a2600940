/** What `Scanner` must say of a text, computed slowly and by other means: JSON.parse, regular expressions and Sets. */
export interface Verdict {
  readonly code: string | undefined;
  readonly keys: number;
  readonly nulls: number;
  readonly type: string | undefined;
}

const tokenPattern = /"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s{}[\]:,"]+/gs;

export function verdict(text: string, limits: { depth: number; recordBytes: number }): Verdict {
  const none = { keys: 0, nulls: 0, type: undefined };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { code: "invalid_json", ...none };
  }
  const tokens = text.match(tokenPattern) ?? [];
  const { deepest, fault } = faultsOf(tokens);
  if (deepest > limits.depth) return { code: "too_deep", ...none };
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { code: fault ?? "not_an_object", ...none };
  }
  const members = new Map(topLevelMembers(tokens));
  const type = members.get("type");
  const counted = {
    keys: members.size,
    nulls: [...members.values()].filter((first) => first === "null").length,
    type: type?.startsWith('"') === true ? (JSON.parse(type) as string) : undefined,
  };
  if (fault !== undefined) return { code: fault, ...counted };
  const bytes = Buffer.byteLength(tokens.join(""));
  return { code: bytes > limits.recordBytes ? "too_large" : undefined, ...counted };
}

/** How deep the containers go, and the first lone surrogate or name that an object has twice. */
function faultsOf(tokens: readonly string[]): { deepest: number; fault: string | undefined } {
  const open: (Set<string> | undefined)[] = [];
  let deepest = 0;
  let fault: string | undefined;
  for (const [i, token] of tokens.entries()) {
    if (token === "{" || token === "[") {
      open.push(token === "{" ? new Set() : undefined);
      deepest = Math.max(deepest, open.length);
    } else if (token === "}" || token === "]") open.pop();
    else if (token.startsWith('"')) {
      const text = JSON.parse(token) as string;
      if (/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text)) {
        fault ??= "lone_surrogate";
      }
      const names = open.at(-1);
      if (names === undefined || tokens[i + 1] !== ":") continue;
      if (names.has(text)) fault ??= "duplicate_key";
      names.add(text);
    }
  }
  return { deepest, fault };
}

/** Names of the top-level object's members with the first token of their values. */
function topLevelMembers(tokens: readonly string[]): [string, string][] {
  const members: [string, string][] = [];
  let depth = 0;
  for (const [i, token] of tokens.entries()) {
    if (token === "{" || token === "[") depth++;
    else if (token === "}" || token === "]") depth--;
    else if (token === ":" && depth === 1)
      members.push([JSON.parse(tokens[i - 1]!) as string, tokens[i + 1]!]);
  }
  return members;
}
