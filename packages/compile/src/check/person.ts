import type { ContractModel } from "../model.ts";
import type { IdentitySpec, PersonKey, RollupSpec, SessionsSpec } from "../table.ts";
import type { Checking } from "./checking.ts";
import { namePattern } from "./columns.ts";

/** The identity tables that a table's key names. */
export const identitiesOf = ({ by }: SessionsSpec | RollupSpec): string[] => [
  ...new Set(by.flatMap((part) => (typeof part === "string" ? [] : [part.person]))),
];

/** Notes what keeps a key from naming the person of every record. */
export function checkPerson(key: PersonKey, from: readonly ContractModel[], checking: Checking): void {
  const at = `person("${key.person}")`;
  if (!namePattern.test(key.column))
    checking.problem(
      `${at}: the column "${key.column}" must be a lower-case letter, then letters, digits and "_".`,
    );
  const spec = checking.project.tables[key.person];
  // That it is missing is noted where tables are put in order.
  if (spec === undefined) return;
  if (spec.kind !== "identity") {
    checking.problem(`${at}: the table is of kind ${spec.kind}; persons come from an identity table.`);
    return;
  }
  for (const { name } of from) {
    if (!key.fields.some((path) => kindsOf(spec, name, path).size > 0)) {
      checking.problem(
        `${at}: of contract "${name}" the table has none of the fields ${key.fields.map((f) => `"${f}"`).join(", ")}. ` +
          `Add [${name}, ["${key.fields[0] ?? ""}"]] to its ids.`,
      );
    }
    for (const path of key.fields) {
      const kinds = [...kindsOf(spec, name, path)];
      if (kinds.length > 1)
        checking.problem(`${at}: "${path}" of "${name}" is an id of several kinds: ${kinds.join(", ")}.`);
    }
  }
  for (const path of key.fields) {
    if (from.length > 0 && !from.some(({ name }) => kindsOf(spec, name, path).size > 0))
      checking.problem(`${at}: "${path}" is no id of the table in any contract.`);
  }
}

/** The kinds of id that a field of a contract is in an identity table. */
export const kindsOf = (spec: IdentitySpec, contract: string, path: string): Set<string> =>
  new Set(
    spec.links
      .filter((link) => link.contract.name === contract)
      .flatMap(({ ids }) => ids.filter((id) => id.path === path).map(({ kind }) => kind)),
  );
