/** What the API can be asked for, grouped as it is granted. */
export type Permission =
  /** Counts, lag and processes. */
  | "status"
  /** Rows of tables: lookups, lists and changes. */
  | "read"
  /** SQL over everything that queries reach. */
  | "query"
  /** Records in quarantine, which may hold anything that was sent. */
  | "quarantine"
  /** Drains and verification. */
  | "operate"
  /** Erasures: what they would reach, asking for them, and their certificates. */
  | "erase"
  /** Personal values, of tokens and of sealed records. */
  | "reveal"
  /** The audit log. */
  | "audit"
  /** Tokens. */
  | "tokens";

/** What each role may ask for. See docs/guide/access.md. */
export const roles = {
  viewer: ["status", "read"],
  analyst: ["status", "read", "query"],
  operator: ["status", "read", "query", "quarantine", "operate"],
  privacy: ["status", "read", "quarantine", "erase", "reveal", "audit"],
  admin: ["status", "read", "query", "quarantine", "operate", "erase", "reveal", "audit", "tokens"],
} as const satisfies Record<string, readonly Permission[]>;

export type Role = keyof typeof roles;

export const isRole = (text: string): text is Role => Object.hasOwn(roles, text);

export const mayRole = (role: Role, permission: Permission): boolean =>
  (roles[role] as readonly Permission[]).includes(permission);
