/**
 * The process that `kill.test.ts` kills: a collector on the log below argv[2]. Tells its port. With argv[3] `early` it has a defect: it
 * acknowledges records before they are durable.
 */
import { type LogStore, directoryStore } from "@weir/log";
import { createCollector } from "./server.ts";
import { http } from "./source.ts";

const [root = "", defect] = process.argv.slice(2);
const real = directoryStore(root, { minFreeBytes: 0, segmentBytes: 200_000, sealAfterMs: 30 });

const openWriter = real.openWriter.bind(real);
const early: LogStore["openWriter"] = async (source, name) => {
  const writer = await openWriter(source, name);
  return {
    source,
    writer: name,
    append: (lines, lengths) => {
      void writer.append(lines, lengths);
      return Promise.resolve();
    },
    seal: () => writer.seal(),
    close: () => writer.close(),
    stats: () => writer.stats(),
  };
};

const collector = await createCollector({
  sources: { web: http({ contracts: [] }) },
  store: defect === "early" ? Object.assign(real, { openWriter: early }) : real,
  writer: "c0",
});
process.send?.({ port: collector.port });
process.on("disconnect", () => process.exit());
