/** Appends to the audit log in the directory it is given, some at a time, and prints each number that it was told of. */
import { writeSync } from "node:fs";
import { AuditLog } from "./audit-log.ts";

const log = await AuditLog.open(process.argv[2] ?? "", { fileBytes: 1500 });
for (let i = 0; i < 40; i++) {
  await Promise.all(
    Array.from({ length: 1 + (i % 3) }, async () => {
      const { number, hash } = await log.append({
        actor: "ann",
        role: "admin",
        action: "a",
        target: null,
        detail: { i },
      });
      writeSync(1, `${number} ${hash}\n`);
    }),
  );
}
