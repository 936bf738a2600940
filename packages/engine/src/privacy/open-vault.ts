import type { Database } from "../database.ts";
import type { EngineOptions } from "../engine-options.ts";
import { Vault } from "./vault.ts";

/** Also where no field is personal any more: old tokens still have values, and subjects may have to be erased. */
export async function openVault(
  database: Database,
  { program, dataDir, masterKey, onEvent }: EngineOptions,
  recentEntries: number,
): Promise<Vault | undefined> {
  if (!program.privacy.on && !Vault.exists(dataDir)) return undefined;
  await database.encryptTemporary();
  return await Vault.open({
    database,
    dataDir,
    recentEntries,
    onIndexRemade: (reason) => onEvent?.({ kind: "vault_index_remade", reason }),
    ...(masterKey === undefined ? {} : { masterKey }),
  });
}
