/** The server process of `collectBench`: one collector on a directory store whose sealed segments are removed at once. */
import { contract, Type } from "@weir/contract";
import { directoryStore } from "@weir/log";
import { logs } from "./log-source.ts";
import { createCollector } from "./server.ts";
import { http } from "./source.ts";

const [root = ""] = process.argv.slice(2);
const productViewed = contract("product_viewed", {
  version: "1.0.0",
  owner: "bench",
  id: "event_id",
  time: "occurred_at",
  fields: Type.Object({ event_id: Type.String(), occurred_at: Type.String({ format: "date-time" }) }),
});
const store = directoryStore(root, { minFreeBytes: 0 });
const collector = await createCollector({
  sources: { web: http({ contracts: [productViewed] }), app: logs() },
  store,
  writer: "c0",
});

const removed = { web: 0, app: 0 };
async function removeSealed(source: keyof typeof removed): Promise<void> {
  for (const ref of await store.sealedAfter(source, "c0", removed[source], 16)) {
    await store.remove(ref);
    removed[source] = ref.number;
  }
}
const retention = setInterval(() => {
  void removeSealed("web");
  void removeSealed("app");
}, 100);

async function finish(): Promise<void> {
  clearInterval(retention);
  const cpu = process.cpuUsage(cpuBefore);
  const rssBytes = process.memoryUsage.rss();
  await collector.close();
  process.send?.({ stats: collector.stats(), cpu, rssBytes });
  process.disconnect();
}

let cpuBefore = process.cpuUsage();
process.on("message", (message) => {
  if (message === "begin") cpuBefore = process.cpuUsage();
  else void finish();
});
process.send?.({ port: collector.port });
