export { contractArbitrary, schemaArbitrary } from "./schemas/contract-arbitrary.ts";
export type { ContractOptions } from "./schemas/contract-arbitrary.ts";
export { instanceArbitrary } from "./schemas/instance-arbitrary.ts";
