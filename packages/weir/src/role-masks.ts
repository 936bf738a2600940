import { WeirError } from "@weir/contract";
import type { RoleMasks } from "@weir/engine";
import { isRole, mayRole, roles } from "@weir/govern";
import type { Role } from "@weir/govern";
import type { ApiLimitsByRole } from "./processes/api-limits.ts";

/** What `defineProject({ access })` takes. */
export interface AccessOptions {
  /**
   * Roles that see a column, by `"table.column"`, `"contract.column"` or `"*.column"`: `{ "customers.email": ["privacy", "admin"] }`. For all
   * others its texts are `***` and its other values NULL, in queries, lookups and changes.
   */
  readonly columns?: Readonly<Record<string, readonly Role[]>>;
  /** How much each token of a role may ask of the API. */
  readonly limits?: ApiLimitsByRole;
}

/** Columns of the views `raw` and `quarantine` that hold what was sent, or parts of it. */
const asSent = [
  "raw.text",
  "raw.error",
  "raw.content",
  "quarantine.text",
  "quarantine.base64",
  "quarantine.violations",
  "quarantine.detail",
];

/**
 * The columns that each role does not see. What was sent is seen by those who may look into quarantine and see every column.
 *
 * @throws WeirError `project_invalid`
 */
export function roleMasks({ columns = {} }: AccessOptions = {}): RoleMasks {
  for (const [column, seeing] of Object.entries(columns)) {
    const unknown = seeing.find((role: string) => !isRole(role)) as string | undefined;
    if (unknown !== undefined || !/^[^.]+\..+$/.test(column)) {
      throw new WeirError(
        "project_invalid",
        unknown === undefined ? `${column} is no column.` : `There is no role ${unknown}.`,
        {
          where: "access.columns",
          remedy: `Write "table.column": [roles]; the roles are ${Object.keys(roles).join(", ")}.`,
        },
      );
    }
  }
  const masks = (Object.keys(roles) as Role[]).map((role): [Role, string[]] => {
    const masked = Object.entries(columns).flatMap(([column, seeing]) =>
      seeing.includes(role) ? [] : [column],
    );
    const seesAll = masked.length === 0 && mayRole(role, "quarantine");
    return [role, seesAll ? [] : [...masked, ...asSent]];
  });
  return Object.fromEntries(masks.filter(([, masked]) => masked.length > 0));
}
