// Enlarging pictures tile by tile: the answer of the whole picture's, in bounded memory.

/** [start, stop) of each tile along a side, px. */
function parts(length, side) {
  return Array.from({ length: Math.ceil(length / side) }, (_, place) => [
    place * side,
    Math.min((place + 1) * side, length),
  ]);
}

/** A part of a picture as the float32 numbers that the model takes. */
function cut(picture, [top, bottom], [left, right]) {
  const width = right - left;
  const part = new Float32Array((bottom - top) * width * 3);
  for (let row = top; row < bottom; row++) {
    const from = 3 * (row * picture.width + left);
    part.set(picture.data.subarray(from, from + 3 * width), 3 * (row - top) * width);
  }
  return part;
}

/**
 * The picture that a model makes of one.
 * @param {object} model as `Model`; `facts.tile` and `facts.reach`, px of what goes in, where it goes tile by tile, and
 *   `facts.scale`.
 * @param {{data: Uint8Array, width: number, height: number}} picture
 * @param {(done: number, all: number) => void} told tiles that are done, and all.
 * @returns {Promise<{data: Uint8Array, width: number, height: number}>} rounded and clipped to 0..255.
 */
export async function whole(model, picture, told = () => {}) {
  const { scale = 1, tile, reach = 0 } = model.facts;
  const side = tile || Math.max(picture.width, picture.height);
  const places = parts(picture.height, side).flatMap((rows) =>
    parts(picture.width, side).map((columns) => [rows, columns]),
  );
  const made = { width: picture.width * scale, height: picture.height * scale };
  made.data = new Uint8Array(made.width * made.height * 3);
  for (const [done, [rows, columns]] of places.entries()) {
    told(done, places.length);
    const outer = [
      [rows, picture.height],
      [columns, picture.width],
    ].map(([[start, stop], length]) => [Math.max(start - reach, 0), Math.min(stop + reach, length)]);
    const [height, width] = outer.map(([start, stop]) => stop - start);
    const { values, dims } = await model.answer(cut(picture, ...outer), [1, height, width, 3]);
    for (let row = rows[0] * scale; row < rows[1] * scale; row++) {
      const from = 3 * ((row - outer[0][0] * scale) * dims[2] + (columns[0] - outer[1][0]) * scale);
      const count = 3 * (columns[1] - columns[0]) * scale;
      const to = 3 * (row * made.width + columns[0] * scale);
      for (let place = 0; place < count; place++) {
        made.data[to + place] = Math.min(Math.max(rounded(values[from + place]), 0), 255);
      }
    }
  }
  return made;
}

/** To the nearest whole number, a half to the even one, as NumPy rounds. */
function rounded(value) {
  const down = Math.floor(value);
  return value - down === 0.5 ? down + (down & 1) : Math.round(value);
}
