// Pictures of 16 bits a channel: which value is white. Cameras, scanners and microscopes put 10, 12 or 14 bits into 16.

/** White of 16 bits. */
export const FULL = 65535;

const FITTING = [8, 10, 12, 14]; // taken where nothing is said and the greatest value fits
const LEAST_HIGHEST = 64; // where no value is greater the picture is black, whatever its bits are

/** What is left at most of such values in the upper 8 of 16 bits. */
export const UPPER_BITS = (2 ** 14 - 1) >> 8;

/**
 * The value that is white.
 *
 * @param {Uint16Array} stored samples, `channels` a pixel.
 * @param {number} channels
 * @param {number} used how many of them are colour.
 * @param {?number} declared bits that the file says to be used (sBIT).
 * @returns {number} 2^bits - 1: 65,535 where nothing is declared and the values do not fit fewer bits, and where fewer
 *   are declared and the values are scaled to 16.
 */
export function whiteOf(stored, channels, used, declared) {
  const few = declared !== null && declared < 16;
  const step = few ? 2 ** (16 - declared) : 1;
  let highest = 0;
  let scaled = true;
  for (let from = 0; from < stored.length; from += channels) {
    for (let channel = 0; channel < used; channel++) {
      const value = stored[from + channel];
      if (value > highest) highest = value;
      if (value % step) scaled = false;
    }
  }
  if (few && declared >= 8) return highest >= 2 ** declared || (scaled && highest) ? FULL : 2 ** declared - 1;
  const bits = highest < LEAST_HIGHEST ? undefined : FITTING.find((fitting) => highest < 2 ** fitting);
  return bits === undefined ? FULL : 2 ** bits - 1;
}

/** A value of 16 bits as one of 0..255. */
export function inEight(value, white) {
  return Math.round(white === FULL ? value / 257 : Math.min(value, white) * (255 / white)); // white is odd: no ties
}

/** What is said of values that are scaled. */
export function remark(white) {
  return `its 16 bits hold ${Math.log2(white + 1)}: ${white.toLocaleString("en-US")} is taken for white`;
}
