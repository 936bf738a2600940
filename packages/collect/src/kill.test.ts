import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { directoryStore, logFailpoints } from "@weir/log";
import { expect, onTestFinished, test } from "vitest";
import { readLog, temporaryDirectory } from "./collector.fixture.ts";

/** What a client was told: its request as sent, and whether a 202 came. */
interface Obligation {
  readonly lines: readonly string[];
  readonly acknowledged: boolean;
}

/** How a server dies: when clients heard so many answers, or at a failpoint; and what is wrong with it. */
interface Ending {
  readonly killAfter?: number;
  readonly failpoint?: string;
  readonly defect?: "early";
}

async function startServer(
  root: string,
  { failpoint, defect }: Ending,
): Promise<{ server: ChildProcess; url: string }> {
  const server = fork(
    new URL("kill-server.fixture.ts", import.meta.url),
    [root, ...(defect === undefined ? [] : [defect])],
    {
      execArgv: ["--import", import.meta.resolve("tsx")],
      env: { ...process.env, ...(failpoint === undefined ? {} : { WEIR_FAILPOINT: failpoint }) },
    },
  );
  onTestFinished(() => void server.kill("SIGKILL"));
  const [{ port }] = (await once(server, "message")) as [{ port: number }];
  return { server, url: `http://127.0.0.1:${port}` };
}

/** A client that sends batches, every line its own, until a request fails. */
async function client(url: string, name: string, ledger: Obligation[]): Promise<void> {
  for (let batch = 0; ; batch++) {
    const lines = Array.from({ length: 20 }, (_, i) =>
      JSON.stringify({ id: `${name}-${batch}-${i}`, pad: "é".repeat(i * 10) }),
    );
    // One in ten is broken, and owed too.
    if (batch % 10 === 0) lines[3] = lines[3]!.slice(0, -1);
    try {
      const response = await fetch(`${url}/v1/events`, {
        method: "POST",
        headers: { "content-type": "application/x-ndjson" },
        body: lines.join("\n"),
      });
      ledger.push({ lines, acknowledged: response.status === 202 });
      if (response.status !== 202) return;
    } catch {
      ledger.push({ lines, acknowledged: false });
      return;
    }
  }
}

/**
 * Runs clients against a server that dies after `killAfter` acknowledgements or at a failpoint, recovers the log as the next start would, and
 * checks it against what the clients were told. Returns how many records were owed.
 */
async function round(root: string, name: string, ending: Ending): Promise<number> {
  const { server, url } = await startServer(root, ending);
  const { killAfter } = ending;
  const ledger: Obligation[] = [];
  const exited = once(server, "exit");
  const clients = Promise.all(Array.from({ length: 8 }, (_, i) => client(url, `${name}-${i}`, ledger)));
  if (killAfter !== undefined) {
    await expect
      .poll(() => ledger.length, { interval: 1, timeout: 20_000 })
      .toBeGreaterThanOrEqual(killAfter);
    server.kill("SIGKILL");
  }
  await clients;
  const [, signal] = (await exited) as [number | null, string | null];
  expect(signal).toBe("SIGKILL");
  const recovered = await directoryStore(root, { minFreeBytes: 0 }).openWriter("web", "c0");
  await recovered.close();
  checkLedger(
    ledger,
    readLog(join(root, "web", "c0")).map(({ error, text }) =>
      error === "" ? text : Buffer.from(text, "latin1").toString(),
    ),
  );
  return ledger.filter(({ acknowledged }) => acknowledged).length * 20;
}

/** Every acknowledged request is in the log exactly as sent and exactly once; any other is there once as a whole, or not at all. */
function checkLedger(ledger: readonly Obligation[], logged: readonly string[]): void {
  const places = new Map<string, number[]>();
  for (const [place, text] of logged.entries()) places.set(text, [...(places.get(text) ?? []), place]);
  for (const { lines, acknowledged } of ledger) {
    const found = lines.flatMap((line) => places.get(line) ?? []);
    if (acknowledged || found.length > 0) {
      expect(found).toHaveLength(lines.length);
      expect(found.every((place, i) => place === found[0]! + i)).toBe(true);
    }
  }
}

test("whatever was acknowledged is in the log exactly as sent, whenever the process is killed", async () => {
  const root = temporaryDirectory();
  let owed = 0;
  for (const [i, killAfter] of [1, 7, 40, 90, 200].entries())
    owed += await round(root, `kill${i}`, { killAfter });
  expect(owed).toBeGreaterThanOrEqual(338 * 20);
});

const appendSteps = logFailpoints.filter(
  (name) => name.startsWith("log.append") || name.startsWith("log.seal"),
);
test.each(appendSteps)("... or dies at %s", async (failpoint) => {
  await round(temporaryDirectory(), "step", { failpoint: `${failpoint}:2` });
});

test("a collector that acknowledges too early does not pass", async () => {
  const early = { failpoint: "log.append.before_write:3", defect: "early" } as const;
  await expect(round(temporaryDirectory(), "early", early)).rejects.toThrow(/length/);
});

test("the check itself notices a lost, a changed, a doubled and a half-written request", () => {
  const ledger = [{ lines: ["a", "b"], acknowledged: true }];
  checkLedger(ledger, ["x", "a", "b"]);
  for (const logged of [[], ["a"], ["a", "c"], ["a", "b", "b"], ["b", "a"]]) {
    expect(() => checkLedger(ledger, logged)).toThrow();
  }
  const unacknowledged = [{ lines: ["a", "b"], acknowledged: false }];
  checkLedger(unacknowledged, []);
  expect(() => checkLedger(unacknowledged, ["a"])).toThrow();
});
