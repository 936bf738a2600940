import type { JsonObject } from "@weir/contract";
import { canonicalJson } from "@weir/contract";
import type { CapturedRecord } from "../capture.ts";
import { changeRecord } from "../capture.ts";
import { type ReadEvent, type Subject, readEvent } from "./change.ts";

/** An object whose state its events leave open, and the second whose events do. */
export interface Undecided {
  readonly subject: Subject;
  readonly second: number;
}

/** The events of one second, all of them, as records. */
export interface Second {
  readonly records: readonly CapturedRecord[];
  readonly undecided: readonly Undecided[];
  /** Id of the last event in the order of the list, to go on after. */
  readonly last: string;
}

/**
 * Takes the events of a window as `GET /v1/events` gives them, newest first, and gives them back by whole seconds: only when all
 * of a second are there is it known which of them stand alone. The newest second of an object in the window decides its
 * state; if that second has several of its events, or none in the source's version of the API, the object is undecided.
 */
export class EventWindow {
  readonly #source: string;
  readonly #pinned: string;
  /** Objects with an event in a later second of the window. */
  readonly #decided = new Set<string>();
  #pending: JsonObject[] = [];

  constructor(source: string, pinned: string) {
    this.#source = source;
    this.#pinned = pinned;
  }

  /** Adds a page; returns the seconds that are whole now. */
  add(events: readonly JsonObject[]): Second[] {
    const seconds: Second[] = [];
    for (const event of events) {
      const [first] = this.#pending;
      if (first !== undefined && first["created"] !== event["created"]) seconds.push(this.#flush());
      this.#pending.push(event);
    }
    return seconds;
  }

  /** The last second, once the list has no more. */
  end(): Second[] {
    return this.#pending.length === 0 ? [] : [this.#flush()];
  }

  #flush(): Second {
    const events = this.#pending;
    this.#pending = [];
    const records: CapturedRecord[] = [];
    const bySubject = new Map<string, ReadEvent[]>();
    for (const event of events) {
      const read = readEvent(event, this.#pinned);
      if (typeof read === "string") {
        records.push(unreadable(this.#source, event, read));
        continue;
      }
      records.push(changeRecord(this.#source, read.change));
      const name = `${read.subject.stream} ${read.subject.account ?? ""} ${read.subject.key}`;
      const group = bySubject.get(name);
      if (group === undefined) bySubject.set(name, [read]);
      else group.push(read);
    }
    const undecided = [...bySubject].flatMap(([name, group]) => this.#judge(name, group));
    const last = events.at(-1)?.["id"];
    return { records, undecided, last: typeof last === "string" ? last : "" };
  }

  /** The events of one object in one second. */
  #judge(name: string, group: readonly ReadEvent[]): Undecided[] {
    if (this.#decided.has(name)) return [];
    this.#decided.add(name);
    const [first] = group;
    if (first === undefined) return [];
    return isClear(group) ? [] : [{ subject: first.subject, second: first.created }];
  }
}

/** Whether the events of one object in one second tell its state: one of them is the last, whatever the order of the others. */
function isClear(group: readonly ReadEvent[]): boolean {
  if (!group.every(({ isPinned, change }) => isPinned || change.op === "delete")) return false;
  const [last, ...others] = group.toSorted((a, b) => b.stage - a.stage || b.progress - a.progress);
  if (last === undefined || last.change.op === "delete") return true;
  return others.every(({ stage, progress }) =>
    stage < last.stage ? progress <= last.progress : progress < last.progress,
  );
}

/** What Stripe sent and cannot become a change, kept with its content. */
export function unreadable(source: string, sent: JsonObject, why: string): CapturedRecord {
  return { contract: source, error: "invalid_message", detail: why, bytes: Buffer.from(canonicalJson(sent)) };
}
