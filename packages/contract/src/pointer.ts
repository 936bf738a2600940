/** JSON pointers (RFC 6901). */

/** The pointer to a value below the root, each step a member name or an array index. `[]` is `""`, the root itself. */
export function jsonPointer(steps: readonly (string | number)[]): string {
  return steps.map((step) => `/${escapePointer(String(step))}`).join("");
}

/** One reference token, escaped: `~` is `~0`, `/` is `~1` (RFC 6901 section 3). */
export function escapePointer(step: string): string {
  return step.replaceAll("~", "~0").replaceAll("/", "~1");
}

/** The steps of a pointer; undefined when the text is not a pointer. */
export function parsePointer(pointer: string): string[] | undefined {
  if (pointer === "") return [];
  if (!pointer.startsWith("/") || /~(?![01])/.test(pointer)) return undefined;
  return pointer
    .slice(1)
    .split("/")
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}
