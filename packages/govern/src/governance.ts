import { join } from "node:path";
import { WeirError } from "@weir/contract";
import { AuditLog } from "./audit-log.ts";
import { Certificates } from "./certificates.ts";
import { mayRole } from "./roles.ts";
import type { Permission, Role } from "./roles.ts";
import { Tokens } from "./tokens.ts";

/** Who asks. */
export interface Caller {
  readonly name: string;
  readonly role: Role;
}

/** Tokens, audit log and certificates of a data directory. One process at a time: the one that runs the engine. */
export class Governance {
  readonly tokens: Tokens;
  readonly audit: AuditLog;
  /** Of erasures. */
  readonly certificates: Certificates;

  private constructor(tokens: Tokens, audit: AuditLog, certificates: Certificates) {
    this.tokens = tokens;
    this.audit = audit;
    this.certificates = certificates;
  }

  /** @param directory of its own. @throws WeirError `tokens_unreadable` */
  static async open(directory: string): Promise<Governance> {
    const tokens = new Tokens(join(directory, "tokens"));
    const certificates = new Certificates(join(directory, "erasures"));
    return new Governance(tokens, await AuditLog.open(join(directory, "audit")), certificates);
  }

  /**
   * Who a request is from.
   *
   * @param token as shown; undefined if none was
   * @param open nobody but this machine can reach the API, so that no token is needed as long as there is none
   * @throws WeirError `token_missing`, `token_invalid`
   */
  callerOf(token: string | undefined, open: boolean): Caller {
    if (token === undefined) {
      if (open && !this.tokens.any) return anyone;
      throw new WeirError("token_missing", "The API asks for a token.");
    }
    const found = this.tokens.find(token);
    if (found === undefined)
      throw new WeirError("token_invalid", "The token is unknown, revoked or expired.");
    return found;
  }

  /** Records an action before it is done. @throws WeirError `audit_broken`, `audit_unwritable` */
  async record(
    { name, role }: Caller,
    action: string,
    target: string | null,
    detail: Readonly<Record<string, string | number | boolean | null>> = {},
  ): Promise<void> {
    await this.audit.append({ actor: name, role, action, target, detail });
  }

  async close(): Promise<void> {
    await this.audit.close();
  }
}

const anyone: Caller = { name: "anyone", role: "admin" };
/** Who can open the instance's socket, which only its own user can. */
export const localCaller: Caller = { name: "local", role: "admin" };

/** @throws WeirError `role_insufficient` */
export function demand(caller: Caller, permission: Permission): void {
  if (mayRole(caller.role, permission)) return;
  throw new WeirError(
    "role_insufficient",
    `The role ${caller.role} may not do this: it needs ${permission}.`,
  );
}
