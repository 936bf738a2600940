import { type Contract, describeContract } from "@weir/contract";
import type { PushSource } from "./source.ts";

/** The answers of `/contracts`: what every source of the collector expects. Texts, since they never change. */
export class ContractList {
  readonly all: string;
  readonly #byName = new Map<string, string>();

  constructor(sources: Readonly<Record<string, PushSource>>) {
    const listed = new Map<string, { contract: Contract; sources: string[] }>();
    for (const [source, { contracts }] of Object.entries(sources)) {
      for (const contract of contracts) {
        const entry = listed.get(contract.name) ?? { contract, sources: [] };
        entry.sources.push(source);
        listed.set(contract.name, entry);
      }
    }
    const described = [...listed.values()].map(({ contract, sources: names }) => ({
      ...describeContract(contract),
      sources: names,
    }));
    described.sort((a, b) => (a.name < b.name ? -1 : 1));
    this.all = JSON.stringify({ contracts: described });
    for (const one of described) this.#byName.set(one.name, JSON.stringify(one));
  }

  find(name: string): string | undefined {
    return this.#byName.get(name);
  }
}
