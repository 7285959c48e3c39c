// Numbers as NumPy and Pillow compute them.

/** Round half to even, as Python and NumPy do. */
export function roundEven(value) {
  const low = Math.floor(value);
  const rest = value - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 !== 0) ? low + 1 : low;
}

/**
 * The middle of some numbers, or the mean of the two in the middle.
 *
 * @param {Float32Array} values at least one; they are sorted in place.
 * @returns {number}
 */
export function median(values) {
  values.sort();
  const half = values.length >> 1;
  return values.length % 2 ? values[half] : Math.fround((values[half - 1] + values[half]) / 2);
}

/**
 * Shrink a picture by averaging, as Pillow's filter BOX does: across, then down, each rounded to bytes.
 *
 * @param {{data: Uint8Array, width: number, height: number}} picture RGB.
 * @param {number} width at most the picture's. @param {number} height at most the picture's.
 * @returns {{data: Uint8Array, width: number, height: number}}
 */
export function boxed(picture, width, height) {
  let { data } = picture;
  if (width !== picture.width) data = along(data, picture.height, 3 * picture.width, 3, shares(picture.width, width));
  if (height !== picture.height) data = along(data, 1, 0, 3 * width, shares(picture.height, height));
  return { data, width, height };
}

const FIXED = 2 ** 22; // Pillow's weights are fixed point numbers of 22 bits

/** Of each pixel of the shorter side, the first pixel that it averages and their weights. */
function shares(from, to) {
  const scale = from / to;
  return Array.from({ length: to }, (_, place) => {
    const centre = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - scale / 2 + 0.5));
    const end = Math.min(from, Math.trunc(centre + scale / 2 + 0.5));
    const inside = Array.from({ length: end - first }, (_, other) => {
      const distance = (other + first - centre + 0.5) * (1 / scale);
      return distance > -0.5 && distance <= 0.5 ? 1 : 0;
    });
    const sum = inside.reduce((all, one) => all + one, 0);
    return { first, weights: inside.map((one) => (one ? Math.floor(0.5 + (one / sum) * FIXED) : 0)) };
  });
}

/** Average along lines: of each of `lines`, `stride` apart, runs of `step` bytes are taken as one number each. */
function along(data, lines, stride, step, parts) {
  const result = new Uint8Array(lines * parts.length * step);
  let to = 0;
  for (let line = 0; line < lines; line++) {
    for (const { first, weights } of parts) {
      const from = line * stride + first * step;
      for (let one = 0; one < step; one++, to++) {
        let sum = FIXED / 2;
        for (let place = 0, at = from + one; place < weights.length; place++, at += step)
          sum += data[at] * weights[place];
        result[to] = Math.min(255, Math.floor(sum / FIXED));
      }
    }
  }
  return result;
}
