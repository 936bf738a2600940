import { WeirError } from "@weir/contract";

/** A zone of the IANA database, or a fixed offset in minutes east of UTC. */
export type Zone = { readonly name: string } | { readonly offsetMinutes: number };

/** @throws WeirError `invalid_source` */
export function readZone(text: string): Zone {
  if (/^(utc|z)$/i.test(text)) return { offsetMinutes: 0 };
  const [, sign, hours, minutes] = /^([+-])([01]\d|2[0-3]):([0-5]\d)$/.exec(text) ?? [];
  if (sign !== undefined) {
    return { offsetMinutes: (Number(hours) * 60 + Number(minutes)) * (sign === "-" ? -1 : 1) };
  }
  try {
    return { name: formatOf(text).resolvedOptions().timeZone };
  } catch (cause) {
    throw new WeirError(
      "invalid_source",
      `timezone ${JSON.stringify(text)} is no zone; write UTC, an offset such as +02:00, or a name such as Europe/Berlin.`,
      { where: "files source", cause },
    );
  }
}

const localTime = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)((?:\.\d+)?))?$/;

/**
 * A local time such as `2026-01-02 03:04:05.678` as RFC 3339 with the zone's offset; undefined for another text, for a time that
 * the zone's clocks skip, and for one that they show twice: which of the two it is nobody can tell.
 */
export function zonedTime(text: string, zone: Zone): string | undefined {
  const match = localTime.exec(text);
  if (match === null) return undefined;
  const [, year = "", month = "", day = "", hour = "", minute = "", second = "00", fraction = ""] = match;
  const local = `${year}-${month}-${day}T${hour}:${minute}:${second}`;
  const localMs = Date.parse(`${local}Z`);
  // Date.parse takes February 30 for March 2.
  if (Number.isNaN(localMs) || !new Date(localMs).toISOString().startsWith(local)) return undefined;
  const offset = offsetAt(localMs, zone);
  return offset === undefined ? undefined : `${local}${fraction}${offsetText(offset)}`;
}

/** Minutes east of UTC that hold at a local time, given as if it were UTC; undefined unless there is exactly one such offset. */
function offsetAt(localMs: number, zone: Zone): number | undefined {
  if ("offsetMinutes" in zone) return zone.offsetMinutes;
  // Offsets before and after any change of clocks nearby.
  const dayMs = 86_400_000;
  const candidates = new Set([-dayMs, 0, dayMs].map((shift) => offsetOf(localMs + shift, zone.name)));
  const fitting = [...candidates].filter(
    (offset) => offsetOf(localMs - offset * 60_000, zone.name) === offset,
  );
  return fitting.length === 1 ? fitting[0] : undefined;
}

const formats = new Map<string, Intl.DateTimeFormat>();
/** Offsets by quarter of an hour, which no change of clocks divides; asking Intl costs 2 us. */
const known = new Map<string, number>();
const quarterMs = 15 * 60_000;

/** Minutes east of UTC that the zone's clocks show at an instant. */
function offsetOf(instantMs: number, name: string): number {
  const key = `${name} ${Math.floor(instantMs / quarterMs)}`;
  let offset = known.get(key);
  if (offset === undefined) {
    const shown =
      formatOf(name)
        .formatToParts(instantMs)
        .find(({ type }) => type === "timeZoneName")?.value ?? "";
    const [, sign, hours = "0", minutes = "0"] = /^GMT(?:([+-])(\d\d)(?::(\d\d))?.*)?$/.exec(shown) ?? [];
    offset = (Number(hours) * 60 + Number(minutes)) * (sign === "-" ? -1 : 1) || 0;
    if (known.size > 100_000) known.clear();
    known.set(key, offset);
  }
  return offset;
}

function formatOf(name: string): Intl.DateTimeFormat {
  let format = formats.get(name);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en", { timeZone: name, timeZoneName: "longOffset" });
    formats.set(name, format);
  }
  return format;
}

function offsetText(minutes: number): string {
  if (minutes === 0) return "Z";
  const two = (value: number): string => String(value).padStart(2, "0");
  const size = Math.abs(minutes);
  return `${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}
