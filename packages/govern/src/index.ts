/** Who may do what, and the record of what was done. */
export type { AuditAction, AuditEntry } from "./audit-chain.ts";
export { AuditLog } from "./audit-log.ts";
export type { AuditSettings, AuditVerdict } from "./audit-log.ts";
export { verifyCertificate } from "./certificates.ts";
export type { Certificate, CertificateVerdict, Statement } from "./certificates.ts";
export { Governance, demand, localCaller } from "./governance.ts";
export type { Caller } from "./governance.ts";
export { isRole, mayRole, roles } from "./roles.ts";
export type { Permission, Role } from "./roles.ts";
export { Tokens } from "./tokens.ts";
export type { TokenInfo } from "./tokens.ts";
