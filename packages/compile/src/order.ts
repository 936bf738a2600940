/**
 * Names in an order in which each comes after all that it reads; otherwise as they were given.
 *
 * @param inputs what a name reads; names that are not among `names` are passed over
 * @returns the order, and a cycle (`[a, b, a]`: a reads b, b reads a) for each one found
 */
export function inputsFirst(
  names: readonly string[],
  inputs: (name: string) => readonly string[],
): { order: string[]; cycles: string[][] } {
  const known = new Set(names);
  const done = new Set<string>();
  const path: string[] = [];
  const order: string[] = [];
  const cycles: string[][] = [];
  const visit = (name: string): void => {
    if (done.has(name) || !known.has(name)) return;
    const at = path.indexOf(name);
    if (at >= 0) {
      cycles.push([...path.slice(at), name]);
      return;
    }
    path.push(name);
    for (const input of inputs(name)) visit(input);
    path.pop();
    if (done.has(name)) return;
    done.add(name);
    order.push(name);
  };
  for (const name of names) visit(name);
  return { order, cycles };
}
