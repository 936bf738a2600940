import { type Cell, quotedEmpty } from "./csv-rows.ts";
import type { FieldShape } from "./field-shape.ts";
import { type Zone, zonedTime } from "./zone.ts";

export interface TextRules {
  /** Cells that mean that there is no value. */
  readonly nulls: ReadonlySet<string>;
  readonly decimal: "." | ",";
  readonly timezone: Zone | undefined;
}

/** Makes the JSON text of a cell; undefined leaves the member out. */
export type CellWriter = (cell: Cell) => string | undefined;

/**
 * How the cells of a column are written for a field; `shape` is undefined for a column that is no field. A cell that says no value
 * of the field's type stays a text, so that validation refuses it and says what was found.
 */
export function cellWriter(shape: FieldShape | undefined, rules: TextRules): CellWriter {
  const write = valueWriter(shape, rules);
  const { nulls } = rules;
  const empty = emptyText(shape);
  const isText =
    shape === undefined ||
    shape.type === undefined ||
    (shape.type === "string" && shape.format === undefined);
  return (cell) => {
    if (cell === quotedEmpty) return isText ? '""' : empty;
    return cell === "" || nulls.has(cell) ? empty : (write(cell) ?? JSON.stringify(cell));
  };
}

/** What no value is written as: null where the field may be null, else nothing where it is optional, else an empty text. */
function emptyText(shape: FieldShape | undefined): string | undefined {
  if (shape === undefined) return undefined;
  if (shape.type !== undefined && shape.nullable) return "null";
  return shape.required ? '""' : undefined;
}

function valueWriter(
  shape: FieldShape | undefined,
  { decimal, timezone }: TextRules,
): (text: string) => string | undefined {
  const { type = "string", format } = shape ?? {};
  switch (type) {
    case "integer":
      return (cell) => integerText(plainNumber(cell, decimal));
    case "number":
      return (cell) => numberText(plainNumber(cell, decimal));
    case "decimal":
      return (cell) => {
        const text = decimalText(plainNumber(cell, decimal));
        return text === undefined ? undefined : `"${text}"`;
      };
    case "boolean":
      return (cell) => booleans.get(cell.trim().toLowerCase());
    case "string":
      if (format !== "date-time") return JSON.stringify;
      return (cell) => JSON.stringify(timeText(cell.trim(), timezone));
    case "object":
    case "array":
      return jsonText;
  }
}

const booleans: ReadonlyMap<string, string> = new Map(
  [
    ["true", "t", "yes", "y", "1"],
    ["false", "f", "no", "n", "0"],
  ].flatMap((words, i) => words.map((word): [string, string] => [word, i === 0 ? "true" : "false"])),
);

/** A number with `.` for its decimal sign and without the other sign between groups of three digits. */
function plainNumber(cell: string, decimal: "." | ","): string {
  const text = cell.trim();
  const grouping = decimal === "." ? "," : ".";
  if (decimal === "." && !text.includes(grouping)) return text;
  if (!/^[+-]?(\d{1,3}([.,]\d{3})*|\d*)([.,]\d*)?$/.test(text)) return text;
  const [whole = "", fraction, ...more] = text.split(decimal);
  if (more.length > 0 || fraction?.includes(grouping) === true) return text;
  if (whole.includes(grouping) && !/^[+-]?\d{1,3}([.,]\d{3})+$/.test(whole)) return text;
  const digits = whole.replaceAll(grouping, "");
  return fraction === undefined ? digits : `${digits}.${fraction}`;
}

function integerText(text: string): string | undefined {
  const [, minus = "", digits] = /^(?:\+|(-))?0*(\d+?)(?:\.0*)?$/.exec(text) ?? [];
  return digits === undefined ? undefined : `${digits === "0" ? "" : minus}${digits}`;
}

/** JSON allows no plus sign, no leading zeros and no bare point; digits stay as they are. */
function numberText(text: string): string | undefined {
  const [, minus = "", whole = "", fraction = "", exponent = ""] =
    /^(?:\+|(-))?(\d*)(?:\.(\d*))?([eE][+-]?\d+)?$/.exec(text) ?? [];
  if (whole === "" && fraction === "") return undefined;
  const trimmed = whole.replace(/^0+(?=\d)/, "") || "0";
  return `${minus}${trimmed}${fraction === "" ? "" : `.${fraction}`}${exponent}`;
}

function decimalText(text: string): string | undefined {
  const number = numberText(text);
  return number === undefined || /[eE]/.test(number) ? undefined : number;
}

/** RFC 3339 of a time that says its zone, or of a local time in a zone that is given; else the text itself. */
export function timeText(text: string, timezone: Zone | undefined): string {
  const [, day, clock, zone] =
    /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d(?:\.\d+)?) ?([Zz]|UTC|[+-]\d\d(?::?\d\d)?)$/.exec(text) ?? [];
  if (day !== undefined && clock !== undefined && zone !== undefined) {
    const offset = /^(z|UTC)$/i.test(zone)
      ? "Z"
      : zone.replace(/^([+-]\d\d):?(\d\d)?$/, (_, h: string, m = "00") => `${h}:${m as string}`);
    return `${day}T${clock}${offset}`;
  }
  return (timezone === undefined ? undefined : zonedTime(text, timezone)) ?? text;
}

/** A cell that holds JSON of an object or array, as PostgreSQL and others export it. */
function jsonText(cell: string): string | undefined {
  if (!/^\s*[[{]/.test(cell)) return undefined;
  try {
    return JSON.stringify(JSON.parse(cell));
  } catch {
    return undefined;
  }
}
