import type { Terminal } from "./terminal.ts";
import { paint } from "./terminal.ts";

/** Cells wider than this are cut in tables for people; --json and --csv never cut. */
const widestCell = 60;

/**
 * Rows as aligned columns under a header. Line breaks and control characters in a cell
 * show as escapes, so that no record can draw on the operator's terminal.
 *
 * @param rows cells as `cellText` takes them
 * @param numeric which columns align right; by default those that hold only numbers
 */
export function renderTable(
  terminal: Terminal,
  columns: readonly string[],
  rows: readonly unknown[][],
  numeric: readonly boolean[] = numericColumns(columns.length, rows),
): string {
  const texts = rows.map((row) => columns.map((_name, i) => cut(cellText(row[i]))));
  const widths = columns.map((name, i) =>
    texts.reduce((width, row) => Math.max(width, displayWidth(row[i] ?? "")), displayWidth(name)),
  );
  const align = (text: string, i: number): string => {
    const space = " ".repeat(Math.max(0, (widths[i] ?? 0) - displayWidth(text)));
    return numeric[i] === true ? space + text : text + space;
  };
  const lines = [paint(terminal, "bold", columns.map(align).join("  ").trimEnd())];
  for (const row of texts) lines.push(row.map(align).join("  ").trimEnd());
  return lines.join("\n");
}

function numericColumns(count: number, rows: readonly unknown[][]): boolean[] {
  return Array.from({ length: count }, (_column, i) => {
    const present = rows.filter((row) => row[i] !== null && row[i] !== undefined);
    return present.length > 0 && present.every((row) => typeof row[i] === "number");
  });
}

/** A JSON value as one cell: strings bare, null as NULL, objects and arrays as JSON. */
export function cellText(value: unknown): string {
  if (value === null || value === undefined) return "NULL";
  if (typeof value === "string") return visible(value);
  return visible(JSON.stringify(value));
}

/** Control characters (C0, DEL, C1, line and paragraph separators) as JSON would escape them. */
export function visible(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what this looks for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (character) => {
    if (character === "\n") return "\\n";
    if (character === "\t") return "\\t";
    if (character === "\r") return "\\r";
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** Rows as CSV (RFC 4180, LF line ends): NULL is an empty field, an empty string is `""`. */
export function renderCsv(columns: readonly string[], rows: readonly unknown[][]): string {
  const lines = [columns.map(csvField).join(",")];
  for (const row of rows) lines.push(columns.map((_name, i) => csvField(row[i])).join(","));
  return lines.join("\n");
}

function csvField(value: unknown): string {
  if (value === null || value === undefined) return "";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text === "" || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

function cut(text: string): string {
  if (text.length <= widestCell) return text;
  let out = "";
  for (const { segment } of graphemes.segment(text)) {
    if (displayWidth(out) + displayWidth(segment) > widestCell - 1) break;
    out += segment;
  }
  return out === text ? text : `${out}…`;
}

/** Terminal columns of a text: wide East Asian characters and emoji take two. */
function displayWidth(text: string): number {
  // oxlint-disable-next-line no-control-regex -- printable ASCII, the usual case
  if (/^[\u0020-\u007e]*$/.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += wide.test(segment) ? 2 : 1;
  return width;
}

const wide =
  /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/u;

/** 1234567 as "1,234,567". */
export function grouped(value: number): string {
  return value.toLocaleString("en-US");
}

/** A length of time for people: "0.3 s", "4 min", "2.5 h". */
export function spanText(ms: number): string {
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  if (ms < 172_800_000) return `${(ms / 3_600_000).toFixed(1)} h`;
  return `${Math.round(ms / 86_400_000)} d`;
}
