import { passesLuhn } from "./marks.ts";

/**
 * What is found in free text: e-mail addresses, also as they are in the query of a URL, and card numbers. A card number has 13 to 19 digits, in one piece or with single
 * spaces or hyphens between, begins as those of a card scheme do and has the right check digit; one number in ten that begins
 * so has it by chance.
 *
 * Every expression takes time linear in the text: what repeats is bounded, or cannot match in two ways.
 */
const address =
  /[\p{L}\p{N}._%+-]{1,64}(?:@|%40)(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?\.){1,8}\p{L}{2,24}/gu;
/** Groups of digits, none of it part of a word or of a decimal number. */
const digitGroups = /(?<![\p{L}\p{N}_.,])[0-9]{1,19}(?:[ -][0-9]{1,19}){0,40}(?![\p{L}\p{N}_]|[.,][0-9])/gu;

/**
 * A condition in SQL that every text with something to find fulfils; of JSON its text, where the letter of an escape may stand before a
 * number. A card's digits begin as a scheme's do and where no word goes on: of 1.2 KB of hexadecimal digits one text in 200 is like that.
 * (With any 13 digits it was one in three, and JavaScript's second look at those took 1.2 us a record.) Of the 1.8 us that
 * this takes for 0.6 KB, 1.6 are the pattern's; a simpler pattern takes as long.
 */
export const mayHold = (x: string): string =>
  `(contains(${x}, '@') OR contains(${x}, '%40') OR regexp_matches(${x}, '(?:\\b|\\\\[bfnrt]|\\\\u[0-9A-Fa-f]{4})[2-6](?:[ -]?[0-9]){12}'))`;

/** Whether anything is found in a text, or in a string of the JSON that the text is. */
export function isFound(text: string): boolean {
  if (maskText(text) !== text) return true;
  if (!text.includes("\\")) return false;
  const unescaped = text.replaceAll(/\\(?:u[0-9A-Fa-f]{4}|.)/gs, " ");
  return maskText(unescaped) !== unescaped;
}

/** First digits and lengths, by ISO/IEC 7812 and the schemes' lists. */
const schemes: readonly (readonly [prefix: RegExp, lengths: readonly number[]])[] = [
  [/^4/, [13, 16, 19]],
  [/^(?:5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)/, [16]],
  [/^3[47]/, [15]],
  [/^3(?:0[0-5]|095|6|8|9)/, [14, 16, 19]],
  [/^(?:6011|64[4-9]|65)/, [16, 19]],
  [/^35(?:2[89]|[3-8])/, [16, 17, 18, 19]],
  [/^62/, [16, 17, 18, 19]],
  [/^(?:50|5[6-9]|6[0-9])/, [13, 14, 15, 16, 17, 18, 19]],
];

const isCard = (digits: string): boolean =>
  schemes.some(([prefix, lengths]) => lengths.includes(digits.length) && prefix.test(digits)) &&
  passesLuhn(digits);

/** The text with what was found masked; the same text if nothing was. */
export function maskText(text: string): string {
  const withoutAddresses = /@|%40/.test(text) ? text.replaceAll(address, "[email]") : text;
  return withoutAddresses.replaceAll(digitGroups, maskGroups);
}

/** Masks card numbers that begin and end with groups: a number may stand before one, as in "2 x 4111 1111 1111 1111". */
function maskGroups(run: string): string {
  if (run.length < 13) return run;
  const groups = run.split(/[ -]/);
  let masked = "";
  let at = 0;
  for (let first = 0; first < groups.length; first++) {
    const start = at;
    const found = cardFrom(groups, first);
    if (found === undefined) {
      at += (groups[first]?.length ?? 0) + 1;
      masked += run.slice(start, at);
      continue;
    }
    const length = groups.slice(first, found.end).reduce((sum, group) => sum + group.length + 1, 0);
    at += length;
    const { digits } = found;
    masked += `${digits.slice(0, 6)}${"*".repeat(digits.length - 10)}${digits.slice(-4)}${run.slice(at - 1, at)}`;
    first = found.end - 1;
  }
  return masked;
}

function cardFrom(groups: readonly string[], first: number): { digits: string; end: number } | undefined {
  let digits = "";
  for (let end = first; end < groups.length && digits.length <= 19; end++) {
    digits += groups[end];
    if (digits.length >= 13 && digits.length <= 19 && isCard(digits)) return { digits, end: end + 1 };
  }
  return undefined;
}
