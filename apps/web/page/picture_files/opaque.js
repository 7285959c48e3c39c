// Transparent pictures laid over white or black, and averages over squares, with the rounding of NumPy and Pillow.

import { roundEven } from "../picture/numbers.js";

const WHITE_DRAWING_LUMA = 200; // visible parts lighter than this on average (of 255) are laid over black

/**
 * Lay a picture over white; where what is visible of it is itself nearly white over black, so that a white drawing on a
 * transparent ground does not vanish.
 *
 * @param {{data: Uint8Array, channels: 3 | 4, width: number, height: number}} picture RGB, or RGBA not premultiplied.
 * @returns {{data: Uint8Array, width: number, height: number}} RGB.
 */
export function opaque({ data, channels, width, height }) {
  if (channels === 3) return { data, width, height };
  let [light, visible] = [0, 0];
  for (let at = 0; at < data.length; at += 4) {
    light += (0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2]) * data[at + 3];
    visible += data[at + 3];
  }
  const ground = visible && light / visible > WHITE_DRAWING_LUMA ? 0 : 255;
  const laid = table(ground);
  const rgb = new Uint8Array(3 * width * height);
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    const row = data[from + 3] << 8;
    rgb[to] = laid[row | data[from]];
    rgb[to + 1] = laid[row | data[from + 1]];
    rgb[to + 2] = laid[row | data[from + 2]];
  }
  return { data: rgb, width, height };
}

/** What becomes of a value of an opacity over the ground, in float32, at place 256 * opacity + value. */
function table(ground) {
  const { fround } = Math;
  return Uint8Array.from({ length: 65536 }, (_, place) => {
    const opacity = fround((place >> 8) / 255);
    return roundEven(fround(fround((place & 255) * opacity) + fround(ground * fround(1 - opacity))));
  });
}

/**
 * Average a picture over squares of 2x2, 3x3 ... pixels, the smallest that are enough; those at the right and at the
 * lower edge may be smaller.
 *
 * @param {{data: Uint8Array, width: number, height: number}} picture RGB.
 * @param {?number} mostPixels how many there may be before anything is averaged.
 * @returns {{data: Uint8Array, width: number, height: number}}
 */
export function averaged(picture, mostPixels) {
  const pixels = picture.width * picture.height;
  if (!mostPixels || pixels <= mostPixels) return picture;
  const side = Math.ceil(Math.sqrt(pixels / mostPixels));
  const [width, height] = [Math.ceil(picture.width / side), Math.ceil(picture.height / side)];
  const data = new Uint8Array(3 * width * height);
  const sums = new Float64Array(3 * width);
  for (let row = 0; row < height; row++) {
    const rows = Math.min(side, picture.height - row * side);
    sums.fill(0);
    for (let y = row * side; y < row * side + rows; y++) {
      let from = 3 * y * picture.width;
      for (let x = 0; x < picture.width; x++, from += 3) {
        const to = 3 * Math.floor(x / side);
        sums[to] += picture.data[from];
        sums[to + 1] += picture.data[from + 1];
        sums[to + 2] += picture.data[from + 2];
      }
    }
    for (let to = 0; to < sums.length; to++) {
      const count = rows * Math.min(side, picture.width - Math.floor(to / 3) * side);
      // Pillow multiplies by a reciprocal in fixed point of 24 bits, which it computes in float32.
      const reciprocal = Math.floor(Math.fround(2 ** 32 / Math.fround(256 * count)));
      data[row * sums.length + to] = Math.floor(((sums[to] + (count >> 1)) * reciprocal) / 2 ** 24);
    }
  }
  return { data, width, height };
}
