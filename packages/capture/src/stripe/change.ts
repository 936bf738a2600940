import { createHash } from "node:crypto";
import type { Change, Json, JsonObject } from "@weir/contract";
import { canonicalJson, isJsonObject } from "@weir/contract";
import { progressOf } from "./progress.ts";

/*
 * Versions of Stripe's objects.
 *
 *   <second, 11 digits>-0-<rendered 0|1>-<birth 0, life 1, death 2>-<progress, 2 digits>-<event id>    an event
 *   <second>-1-<read at, ms, 13 digits>-<hash>                                                           the object, read because its events of that second do not decide
 *   <second>-2                                                                                            fence of a listing
 *   <second>-3-<read at, ms, 13 digits>-<hash>                                                           an object of that listing
 *
 * An event's second is `created`: the only clock that Stripe gives all events of an object, and webhooks come in any order.
 * Several events of one object within one second are ordered by what they are and how far the object had come, and where
 * that does not decide, by their ids: arbitrary, but the same whoever comes first. What is right there only Stripe
 * knows, so reconciliation reads the object after such a second (at least `hold` later) and that reading wins over the second's events; any
 * later event wins over the reading, and was either part of it or is newer.
 *
 * A listing begins at a second that is `hold` in the past, so all events up to it are in what it reads; what it does not
 * read was deleted before. Events of later seconds win over it.
 *
 * A page of a backfill is such a listing of its own, which fences nothing off: its second is `hold` before the page was asked for.
 */

/** The row of an object: its members, sorted, and the version of the API that it is rendered in. */
function rowOf(object: JsonObject, apiVersion: string, account: string | undefined): JsonObject {
  const row: Record<string, Json> = { ...(sorted(object) as JsonObject), _api_version: apiVersion };
  if (account !== undefined) row["_account"] = account;
  return row;
}

/** The value with its members in the order of their names: webhooks and lists may order them differently. */
function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((name) => [name, sorted(value[name] ?? null)]),
  );
}

/** Path of the first value that would not be kept as it was sent: a number beyond a double, half a surrogate pair. */
function inexact(value: Json, path: string): string | undefined {
  if (typeof value === "number") {
    return Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value))
      ? undefined
      : path;
  }
  if (typeof value === "string") return value.isWellFormed() ? undefined : path;
  if (typeof value !== "object" || value === null) return undefined;
  for (const [name, member] of Object.entries(value)) {
    const found = inexact(member, `${path}/${name}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Why an object cannot be kept, as a text in ASCII; undefined if it can. */
export function objectProblem(object: JsonObject): string | undefined {
  const path = inexact(object, "");
  return path === undefined ? undefined : `a value that cannot be kept exactly at ${short(path)}`;
}

const secondText = (second: number): string => String(second).padStart(11, "0");
const instant = (seconds: number): string => new Date(seconds * 1000).toISOString();

/** What an event is about. */
export interface Subject {
  readonly stream: string;
  readonly key: string;
  /** Undefined for the few objects without an id, such as the balance. */
  readonly id: string | undefined;
  /** The connected account that the object is of. */
  readonly account: string | undefined;
}

export interface ReadEvent {
  readonly change: Change;
  readonly subject: Subject;
  /** Second in which it happened. */
  readonly created: number;
  /** Rendered in the version that the source is pinned to. */
  readonly isPinned: boolean;
  /** Where it stands among the object's events of its second: the first counts before the second. */
  readonly stage: number;
  readonly progress: number;
}

/**
 * An event (webhook call, or element of `GET /v1/events`) as a change of the object in it. Both give equal texts for one event: members
 * that are about the delivery (`pending_webhooks`) or the reader stay out, and an event rendered in another version than the
 * source's is another record with an id of its own, as it has another content.
 *
 * @returns a text in ASCII if it is no event with an object
 */
export function readEvent(event: JsonObject, pinned: string): ReadEvent | string {
  const { id, object, created, type, data, api_version: version, account } = event;
  if (object !== "event") return `object is ${short(object)}, not "event"`;
  if (typeof id !== "string" || id === "") return "id is no string, or empty";
  if (typeof type !== "string") return "type is no string";
  if (
    typeof created !== "number" ||
    !Number.isSafeInteger(created) ||
    created < 0 ||
    created > 99_999_999_999
  ) {
    return "created is no time";
  }
  const about = isJsonObject(data) ? data["object"] : undefined;
  if (!isJsonObject(about)) return "data.object is no object";
  const subject = subjectOf(about, typeof account === "string" ? account : undefined);
  if (typeof subject === "string") return subject;
  const problem = objectProblem(about);
  if (problem !== undefined) return problem;

  const apiVersion = typeof version === "string" ? version : pinned;
  const isPinned = apiVersion === pinned;
  const op = opOf(type);
  const isDelete = op === "delete";
  const stage = isDelete ? 2 : op === "insert" ? 0 : 1;
  const progress = progressOf(about);
  const { stream, key } = subject;
  const change: Change = {
    // A deletion says the same in every version.
    id: isPinned || isDelete ? id : `${id}@${apiVersion}`,
    at: instant(created),
    stream,
    op,
    key,
    version: `${secondText(created)}-0-${isPinned || isDelete ? 1 : 0}-${stage}-${String(progress).padStart(2, "0")}-${id}`,
    row: isDelete ? keyRow(subject) : rowOf(about, apiVersion, subject.account),
  };
  return { change, subject, created, isPinned, stage, progress };
}

/** An event type that ends in `.deleted` says that the object is gone, but for a subscription, which is canceled and stays. */
function opOf(type: string): "insert" | "update" | "delete" {
  if (type.endsWith(".deleted") && type !== "customer.subscription.deleted") return "delete";
  return type.endsWith(".created") ? "insert" : "update";
}

function subjectOf(object: JsonObject, account: string | undefined): Subject | string {
  const { object: stream, id } = object;
  if (typeof stream !== "string" || stream === "") return "data.object.object is no string, or empty";
  if (typeof id === "string" && id !== "") return { stream, id, key: JSON.stringify([id]), account };
  const owner = object["customer"] ?? account ?? stream;
  const key = JSON.stringify([typeof owner === "string" ? owner : stream]);
  return { stream, id: undefined, key, account };
}

const keyRow = ({ id, stream }: Subject): JsonObject => ({ id: id ?? stream });

/** When and why an object was read. */
export interface Reading {
  readonly second: number;
  readonly rank: 1 | 3;
  /** Milliseconds since the epoch, by our clock. */
  readonly readMs: number;
  readonly apiVersion: string;
}

/** An object as it was read, at rank 1 (after the events of a second) or 3 (of a listing that began in it). */
export function readingChange(subject: Subject, object: JsonObject, reading: Reading): Change {
  const { second, rank, readMs, apiVersion } = reading;
  const isGone = object["deleted"] === true;
  const row = isGone ? keyRow(subject) : rowOf(object, apiVersion, subject.account);
  const hash = createHash("sha256").update(canonicalJson(row)).digest("hex").slice(0, 16);
  const version = `${secondText(second)}-${rank}-${String(Math.round(readMs)).padStart(13, "0")}-${hash}`;
  return {
    id: `${subject.stream}/${subject.id ?? ""}@${version}`,
    at: new Date(readMs).toISOString(),
    stream: subject.stream,
    op: isGone ? "delete" : "snapshot",
    key: subject.key,
    version,
    row,
  };
}

/** Every object of the stream that the listing begun in this second did not read is gone. */
export function fenceChange(stream: string, second: number): Change {
  const version = `${secondText(second)}-2`;
  return {
    id: `${stream}@${version}`,
    at: instant(second),
    stream,
    op: "truncate",
    key: "[]",
    version,
    row: null,
  };
}

export function listedSubject(object: JsonObject): Subject | string {
  return subjectOf(object, undefined);
}

function short(value: unknown): string {
  return (JSON.stringify(value) ?? "missing").replaceAll(/[^\x20-\x7e]/g, "?").slice(0, 100);
}
