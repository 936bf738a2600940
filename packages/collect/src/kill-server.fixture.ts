/** The process that `kill.test.ts` kills: a collector on the log below argv[2]. Tells its port. */
import { directoryStore } from "@weir/log";
import { createCollector } from "./server.ts";
import { http } from "./source.ts";

const [root = ""] = process.argv.slice(2);
const collector = await createCollector({
  sources: { web: http({ contracts: [] }) },
  store: directoryStore(root, { minFreeBytes: 0, segmentBytes: 200_000, sealAfterMs: 30 }),
  writer: "c0",
});
process.send?.({ port: collector.port });
process.on("disconnect", () => process.exit());
