/** Pieces of text for the terminal. Widths are in characters: everything the demo prints is one column wide a character. */

/** Colours, or none where the output is no terminal or NO_COLOR is set. */
export interface Paint {
  bold(text: string): string;
  dim(text: string): string;
  green(text: string): string;
  red(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
}

export function paintFor(coloured: boolean): Paint {
  const code = (start: number, end: number) => (text: string) =>
    coloured && text !== "" ? `\u001b[${start}m${text}\u001b[${end}m` : text;
  return {
    bold: code(1, 22),
    dim: code(2, 22),
    green: code(32, 39),
    red: code(31, 39),
    yellow: code(33, 39),
    cyan: code(36, 39),
  };
}

// oxlint-disable-next-line no-control-regex -- colours take no room
const colours = /\u001b\[\d+m/g;

export const width = (text: string): number => text.replace(colours, "").length;

/** The text in exactly so many columns; cut with an ellipsis, which ends its colours. */
export function fit(text: string, columns: number): string {
  const missing = columns - width(text);
  if (missing >= 0) return text + " ".repeat(missing);
  let kept = "";
  let room = columns - 1;
  // oxlint-disable-next-line no-control-regex -- a colour, or one character
  for (const [piece] of text.matchAll(/\u001b\[\d+m|[^\u001b]/g)) {
    if (piece.length > 1) kept += piece;
    else if (room > 0) {
      kept += piece;
      room -= 1;
    }
  }
  return `${kept}…`;
}

/** Rows as columns; those whose name is in `right` align right. */
export function columns(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  paint: Paint,
  right: readonly string[] = [],
): string[] {
  const widths = header.map((name, i) => Math.max(width(name), ...rows.map((row) => width(row[i] ?? ""))));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => {
        const space = " ".repeat((widths[i] ?? 0) - width(cell));
        return right.includes(header[i] ?? "") ? space + cell : cell + space;
      })
      .join("  ")
      .trimEnd();
  return [paint.dim(line(header)), ...rows.map(line)];
}

export const number = (value: number | bigint): string => value.toLocaleString("en-US");

/** "1234567.80" as 1,234,567.80. */
export function money(value: string): string {
  const [whole = "0", cents] = value.split(".");
  return cents === undefined ? number(BigInt(whole)) : `${number(BigInt(whole))}.${cents}`;
}

/** Minutes and seconds. */
export function clock(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** Text as it may be shown: no control characters, whatever a record holds. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- these are what must not reach the terminal
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, "·");
}
