import { typeAt } from "../model.ts";
import type { IdentityLink, IdentitySpec } from "../table.ts";
import { modelsOf } from "./checking.ts";
import type { Checking, TableKind } from "./checking.ts";

export const identityKind: TableKind<IdentitySpec> = {
  contracts: ({ links }) => [...new Set(links.map(({ contract }) => contract.name))],
  inputs: () => [],
  moreViews: () => [],
  check: (table, checking) => {
    if (!(table.warnAbove >= 1)) checking.problem("warnAbove must be at least 1.");
    const contracts = [...new Set(table.links.map(({ contract }) => contract))];
    if (contracts.length === 0) checking.problem(`"ids" names no contract.`);
    else modelsOf(contracts, checking);
    for (const link of table.links) checkLink(link, checking);
  },
};

function checkLink({ contract, ids }: IdentityLink, checking: Checking): void {
  const at = `ids of "${contract.name}"`;
  if (ids.length === 0) checking.problem(`${at}: no field is named.`);
  const model = checking.models.get(contract.name);
  for (const { kind, path } of ids) {
    // A separator follows the kind where ids are hashed.
    if (kind === "" || /\p{Cc}/u.test(kind)) checking.problem(`${at}: "${kind}" cannot name a kind of id.`);
    if (model === undefined) continue;
    const type = typeAt(model, path);
    if (type === undefined) checking.problem(`${at}: the contract has no field "${path}".`);
    else if (type.kind !== "string" && type.kind !== "integer")
      checking.problem(`${at}: "${path}" is a ${type.kind}; ids are strings or integers.`);
  }
  if (new Set(ids.map(({ path }) => path)).size < ids.length)
    checking.problem(`${at}: a field is named twice.`);
}
