/**
 * How a value that was taken out of a record's text is marked, so that it can be put back.
 *
 * The text of a record is minified JSON: outside of strings it has no white space. What Weir puts in place of a value
 * has one space before it, or two where the value was a number; so nobody can send a text that looks as if Weir had put a token
 * into it, and have the token's value put in its place later.
 *
 *   "email": "tok_email_..."      a token for a string
 *   "customer":  "sub_..."        a token for a number
 *   "card": "411111******1111"    a card number, of which no more is kept
 *   "cvv": "***"                  a card's security code, of which nothing is kept
 */
const marked = /: ( ?)"(?:((?:tok_[a-z]+|sub)_[A-Za-z0-9_-]{22})|(\d{6}\*{3,9}\d{4})|(\*{3}))"/g;

export const tokenPattern = /^(?:tok_[a-z]+|sub)_[A-Za-z0-9_-]{22}$/;

/** The tokens in a text that stand for values. */
export const markedTokens = (text: string): string[] =>
  [...text.matchAll(marked)].flatMap(([, , token]) => (token === undefined ? [] : [token]));

/**
 * The text with values in place of what stands for them. Of a card number and its code a stand-in is made that is masked to
 * the same again, so that whatever accepted the original accepts it too.
 *
 * @param valueOf undefined where the token's value is gone
 * @returns undefined where a value is gone
 */
export function withValues(text: string, valueOf: (token: string) => string | undefined): string | undefined {
  let isGone = false;
  const restored = text.replaceAll(
    marked,
    (_, number: string, token: string | undefined, card: string | undefined) => {
      if (token === undefined) return `:${JSON.stringify(card === undefined ? "000" : cardOf(card))}`;
      const value = valueOf(token);
      if (value === undefined) isGone = true;
      return `:${number === "" ? JSON.stringify(value ?? "") : value}`;
    },
  );
  return isGone ? undefined : restored;
}

/** The least card number with these first six and last four digits: its check digit (ISO/IEC 7812-1, annex B) is right. */
function cardOf(masked: string): string {
  const hidden = masked.length - 10;
  for (let middle = 0; middle < 10; middle++) {
    const digits = `${masked.slice(0, 6)}${String(middle).padStart(hidden, "0")}${masked.slice(-4)}`;
    if (passesLuhn(digits)) return digits;
  }
  return masked;
}

/** Whether the last of the digits is the check digit of the others (ISO/IEC 7812-1, annex B). */
export function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let i = digits.length - 1, double = false; i >= 0; i--, double = !double) {
    const digit = digits.charCodeAt(i) - 48;
    sum += double ? (digit > 4 ? 2 * digit - 9 : 2 * digit) : digit;
  }
  return sum % 10 === 0;
}
