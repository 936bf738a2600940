/**
 * A record's content: a number of 64 bits that tells its text from that of another record with its id. It is kept wherever rows of the record are,
 * also where tokens stand for parts of the text. So it has a key as soon as there is a vault: whoever has the lake, and not the vault, cannot
 * try texts until one fits.
 *
 * Within is DuckDB's hash of the text, which anybody can compute; around it MD5 under 128 secret bits, in one block, of which half is kept. Whoever
 * does not have the secret knows no number of any other text, however many they know with theirs, and texts with one hash
 * have one number with a key as they have without. 0.15 us a text; MD5 of all of 1 KB takes 1.9 us. (A hash of DuckDB's own, of
 * the secret and the text's, would be free. Its steps can be undone: one known text would give the secret away.)
 *
 * @param text SQL of a text; needs the variable `weir_content`, which is not set where there is no vault
 */
export const contentOf = (text: string): string => keyedContent(`hash(${text})`);

/** What a number becomes that was made before there was a vault. */
export const keyedContent = (hash: string): string =>
  `CASE WHEN getvariable('weir_content') IS NULL THEN ${hash} ELSE (md5_number(concat(getvariable('weir_content'), ${hash})) >> 64)::UBIGINT END`;
