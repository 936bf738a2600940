/** Exact arithmetic of the `decimal` keyword: on digits, never on doubles. */

/** The value of the `decimal` keyword in an effective schema. Bounds are inclusive, written as `canonicalDecimal` does. */
export interface DecimalRule {
  readonly precision: number;
  readonly scale: number;
  readonly minimum?: string;
  readonly maximum?: string;
}

/** The most digits a decimal may have: what DuckDB, Spark and Snowflake all store exactly. */
export const maxDecimalPrecision = 38;

/** A decimal taken apart: no leading zeros in `whole`, no trailing zeros in `fraction`; zero is never negative. */
interface Digits {
  readonly negative: boolean;
  readonly whole: string;
  readonly fraction: string;
}

/**
 * The test of the `decimal` keyword. A value passes when it is a string of the form `-?digits[.digits]`, or a number whose
 * shortest decimal form (ECMAScript Number::toString, without exponent) is of that form; when it has at most
 * `precision - scale` digits before the point and `scale` after it, not counting leading zeros before and trailing zeros
 * after; and when it is within the bounds. Everything is compared exactly.
 */
export function decimalTest(rule: DecimalRule): (value: unknown) => boolean {
  const minimum = rule.minimum === undefined ? undefined : decimalDigits(rule.minimum);
  const maximum = rule.maximum === undefined ? undefined : decimalDigits(rule.maximum);
  return (value) => {
    const digits = decimalDigits(value);
    if (digits === undefined) return false;
    if (digits.whole.length > rule.precision - rule.scale || digits.fraction.length > rule.scale)
      return false;
    if (minimum !== undefined && compareDigits(digits, minimum) < 0) return false;
    return maximum === undefined || compareDigits(digits, maximum) <= 0;
  };
}

/** The one text of a decimal: "0", "-1.5", "120"; undefined when the value is no decimal of any size. */
export function canonicalDecimal(value: unknown): string | undefined {
  const digits = decimalDigits(value);
  if (digits === undefined) return undefined;
  const { negative, whole, fraction } = digits;
  return `${negative ? "-" : ""}${whole === "" ? "0" : whole}${fraction === "" ? "" : `.${fraction}`}`;
}

/** Negative when decimal `a` is less than `b`, 0 when they are equal; NaN when either is no decimal. */
export function compareDecimals(a: unknown, b: unknown): number {
  const left = decimalDigits(a);
  const right = decimalDigits(b);
  return left === undefined || right === undefined ? Number.NaN : compareDigits(left, right);
}

function decimalDigits(value: unknown): Digits | undefined {
  if (typeof value === "string") return textDigits(value);
  if (typeof value === "number" && Number.isFinite(value)) return textDigits(plainNotation(String(value)));
  return undefined;
}

function textDigits(text: string): Digits | undefined {
  const match = /^(-?)([0-9]+)(?:\.([0-9]+))?$/.exec(text);
  if (match === null) return undefined;
  const whole = withoutLeadingZeros(match[2] ?? "");
  const fraction = withoutTrailingZeros(match[3] ?? "");
  return { negative: match[1] === "-" && (whole !== "" || fraction !== ""), whole, fraction };
}

function withoutLeadingZeros(digits: string): string {
  let start = 0;
  while (start < digits.length && digits.charCodeAt(start) === 48) start++;
  return digits.slice(start);
}

// A loop, because /0+$/ is quadratic: it starts again at every zero of a long run that does not end the text.
function withoutTrailingZeros(digits: string): string {
  let end = digits.length;
  while (end > 0 && digits.charCodeAt(end - 1) === 48) end--;
  return digits.slice(0, end);
}

/** "1.5e-7" as "0.00000015", "1e+21" as "1" and 21 zeros; other texts as they are. */
function plainNotation(text: string): string {
  const match = /^(-?)([0-9]+)(?:\.([0-9]+))?e([+-][0-9]+)$/.exec(text);
  if (match === null) return text;
  const [, sign = "", whole = "", fraction = "", exponent = "0"] = match;
  const digits = whole + fraction;
  const point = whole.length + Number(exponent);
  if (point <= 0) return `${sign}0.${"0".repeat(-point)}${digits}`;
  if (point >= digits.length) return sign + digits + "0".repeat(point - digits.length);
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
}

function compareDigits(a: Digits, b: Digits): number {
  if (a.negative !== b.negative) return a.negative ? -1 : 1;
  const size =
    a.whole.length - b.whole.length || compareText(a.whole, b.whole) || compareText(a.fraction, b.fraction);
  return a.negative ? -size : size;
}

/** Code unit order, in which a shorter fraction comes before one that it starts: "5" < "51", as 0.5 < 0.51. */
function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
