import { expect, onTestFinished, test } from "vitest";
import { EventReader } from "../processes/event-reader.fixture.ts";
import { lookupProject } from "./lookups.fixture.ts";
import { Poster, Sandbox, click, until } from "./sandbox.fixture.ts";

/** Applies what a reader has read. */
function rowsOf(reader: EventReader): Map<string, unknown> {
  const rows = new Map<string, unknown>();
  for (const { event, data } of reader.events) {
    if (event !== "change") continue;
    const key = JSON.stringify(data["key"]);
    if (data["op"] === "delete") rows.delete(key);
    else rows.set(key, data["row"]);
  }
  return rows;
}

test("followed across kills of the engine and the collector: every change once, in order, and the rows in the end", async () => {
  const sandbox = new Sandbox({ "weir.config.ts": lookupProject });
  onTestFinished(() => sandbox.dispose());
  const instance = await sandbox.up();
  const url = `${instance.url}/api/tables/runs/changes?since=0`;
  const reader = new EventReader();
  const stopping = new AbortController();
  const reading = (async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await reader.read(url);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  const posters = ["p", "q"].map((prefix) => new Poster(instance, prefix));
  await until(() => reader.events.length > 20);
  for (const name of ["engine", "c0", "engine"]) {
    const pid = instance.pidOf(name);
    const seen = reader.events.length;
    process.kill(pid, "SIGKILL");
    await instance.restarted(name, pid);
    await until(() => reader.events.length > seen + 5);
  }
  const minutes = Array.from({ length: 300 }, (_, i) =>
    new Date(Date.UTC(2026, 1, 1, 0, i * 7)).toISOString(),
  );
  // Every other one first: what comes between joins runs, so that runs go.
  for (const parity of [0, 1]) {
    const records = minutes.flatMap((at, i) =>
      i % 2 === parity ? [{ ...click(`m${i}`, "/late"), at }] : [],
    );
    expect((await instance.post(records)).status).toBe(202);
    await sandbox.run(["drain"]);
  }
  for (const poster of posters) await poster.stop();
  await sandbox.run(["drain"]);
  const { value: status } = await sandbox.json(["status"]);
  const { commit } = status as { commit: number };
  await until(() => reader.events.some(({ event, data }) => event === "commit" && data["commit"] === commit));
  stopping.abort();
  reader.stop();
  await reading;

  const changes = reader.events.filter(({ event }) => event === "change");
  const ids = changes.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  const commits = changes.map(({ data }) => Number(data["commit"]));
  expect(commits).toEqual(commits.toSorted((a, b) => a - b));
  expect(changes.some(({ data }) => data["op"] === "delete")).toBe(true);
  const rows = await sandbox.rows("SELECT session_id, n FROM runs");
  const followed = [...rowsOf(reader).values()] as { session_id: string; n: string }[];
  const byId = (a: unknown[], b: unknown[]): number => (String(a[0]) < String(b[0]) ? -1 : 1);
  expect(followed.map((row) => [row.session_id, row.n]).sort(byId)).toEqual(rows.sort(byId));
});
