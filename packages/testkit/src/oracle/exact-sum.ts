/** The sum of doubles as a real number, rounded once: to nearest, ties to even. On BigInt, so nothing is lost before. */
export function exactSum(values: readonly number[]): number {
  return nearestDouble(values.reduce((sum, value) => sum + scaled(value), 0n));
}

/** Every finite double is a whole number of these: 2^-1074. */
const leastExponent = -1074;

/** The double in units of 2^-1074. */
function scaled(value: number): bigint {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value);
  const word = bits.getBigUint64(0);
  const exponent = Number((word >> 52n) & 0x7ffn);
  const fraction = word & 0xf_ffff_ffff_ffffn;
  const magnitude = exponent === 0 ? fraction : (fraction | 0x10_0000_0000_0000n) << BigInt(exponent - 1);
  return word >> 63n === 1n ? -magnitude : magnitude;
}

/** The double nearest to `units` times 2^-1074. */
function nearestDouble(units: bigint): number {
  const magnitude = units < 0n ? -units : units;
  const excess = BigInt(Math.max(0, magnitude.toString(2).length - 53));
  let kept = magnitude >> excess;
  const rest = magnitude - (kept << excess);
  const half = excess === 0n ? 0n : 1n << (excess - 1n);
  if (excess > 0n && (rest > half || (rest === half && kept % 2n === 1n))) kept++;
  // Two factors, as 2^-1074 times a great power of two would leave the range of one.
  const exponent = Number(excess) + leastExponent;
  const nearest = Number(kept) * 2 ** Math.ceil(exponent / 2) * 2 ** Math.floor(exponent / 2);
  return units < 0n ? -nearest : nearest;
}
