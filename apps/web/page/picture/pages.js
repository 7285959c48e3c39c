// The part of a picture that a digit stands in, as data/images/pages.py finds it: without a scanner's dark border, a
// frame or the table around a sheet. Only what can be told with certainty is cut off.

import { boxed, median, roundEven } from "./numbers.js";

const WORKING_PX = 256; // longer side at which borders and frames are looked for
const LEAST_CONTRAST = 12; // of 255: what differs less from the paper around it is no mark
const SMOOTHED_PX = 48;
const MOST_NOISE = 5;
const STEP = 60; // of 255: how sharply a border ends at least; light that falls off does not
const COVERED = 0.85; // of each side of a frame, what is drawn at least; of a round digit it is less than 0.6
const LEAST_SIDE = 0.3; // of the picture's sides, what a frame or a sheet takes at least

/**
 * The picture without what surrounds its page; as it is where nothing does, or where nothing would be left.
 *
 * @param {{data: Uint8Array, width: number, height: number}} picture RGB.
 * @returns {{data: Uint8Array, width: number, height: number}} the picture itself, or a copy of a part.
 */
export function inside(picture) {
  let part = picture;
  let working = workingCopy(picture);
  for (const cut of [withoutBorder, withoutFrame]) {
    const found = cut(apart(working));
    const [down, across] = [part.height / working.height, part.width / working.width];
    const [top, bottom] = [roundEven(found.top * down), roundEven(found.bottom * down)];
    const [left, right] = [roundEven(found.left * across), roundEven(found.right * across)];
    const [width, height] = [right - left, bottom - top];
    if (width <= 0 || height <= 0 || (width === part.width && height === part.height)) continue;
    const smaller = cropped(part, left, top, width, height);
    if (!isBlank(smaller)) [part, working] = [smaller, workingCopy(smaller)];
  }
  return part;
}

/**
 * Whether a picture shows nothing: noise and uneven light are nothing.
 *
 * @param {{data: Uint8Array, width: number, height: number}} picture RGB.
 * @returns {boolean}
 */
export function isBlank(picture) {
  const large = Math.min(picture.width, picture.height) >= SMOOTHED_PX;
  const working = workingCopy(picture);
  let residual = withoutLight(working);
  const some = every(residual, working, large ? 3 : 1);
  const middle = median(some);
  let noise = 1.4826 * median(some.map((value) => Math.abs(value - middle)));
  if (large) {
    [residual, noise] = [smoothed(residual, working), noise / 3]; // noise becomes a third, strokes stay
  }
  let most = 0;
  for (const value of residual) most = Math.max(most, Math.abs(value));
  return most < Math.max(LEAST_CONTRAST, 6 * Math.min(noise, MOST_NOISE));
}

function cropped(picture, left, top, width, height) {
  const data = new Uint8Array(3 * width * height);
  for (let row = 0; row < height; row++) {
    const from = 3 * ((top + row) * picture.width + left);
    data.set(picture.data.subarray(from, from + 3 * width), 3 * row * width);
  }
  return { ...picture, data, width, height };
}

/** The picture averaged to a longer side of `WORKING_PX` at most. */
function workingCopy(picture) {
  const { width, height } = picture;
  const factor = WORKING_PX / Math.max(height, width);
  if (factor >= 1) return picture;
  return boxed(picture, Math.max(1, roundEven(width * factor)), Math.max(1, roundEven(height * factor)));
}

/** Every so many pixels of every so many rows, of three channels each. */
function every(values, { width, height }, step) {
  const some = [];
  for (let y = 0; y < height; y += step) {
    for (let x = 0; x < width; x += step) {
      const at = 3 * (y * width + x);
      some.push(values[at], values[at + 1], values[at + 2]);
    }
  }
  return Float32Array.from(some);
}

/** What light that changes evenly over the picture, a plane, does not explain: (height, width, 3). */
function withoutLight({ data, width, height }) {
  const mean = [0, 0, 0];
  for (let at = 0; at < data.length; at++) mean[at % 3] += data[at];
  const residual = Float32Array.from(data, (value, at) => value - Math.fround(mean[at % 3] / (width * height)));
  for (const [length, placeOf] of [
    [height, (pixel) => Math.floor(pixel / width)],
    [width, (pixel) => pixel % width],
  ]) {
    if (length === 1) continue;
    const place = Float32Array.from({ length }, (_, line) => -1 + (2 * line) / (length - 1)); // its sum is 0
    const slope = [0, 0, 0];
    const squares = place.reduce((sum, value) => sum + value * value, 0);
    for (let at = 0; at < residual.length; at++) slope[at % 3] += place[placeOf(Math.floor(at / 3))] * residual[at];
    const lines = (width * height) / length;
    for (let at = 0; at < residual.length; at++) {
      residual[at] -= (place[placeOf(Math.floor(at / 3))] * slope[at % 3]) / lines / Math.max(squares, 1e-9);
    }
  }
  return residual;
}

/** Means of 3x3 pixels, those at the edges repeated. */
function smoothed(values, { width, height }) {
  const tall = new Float32Array(values.length);
  const wide = new Float32Array(values.length);
  const line = 3 * width;
  for (let at = 0; at < values.length; at++) {
    const y = Math.floor(at / line);
    tall[at] = values[y > 0 ? at - line : at] + values[at] + values[y < height - 1 ? at + line : at];
  }
  for (let at = 0; at < values.length; at++) {
    const x = Math.floor((at % line) / 3);
    wide[at] = (tall[x > 0 ? at - 3 : at] + tall[at] + tall[x < width - 1 ? at + 3 : at]) / 9;
  }
  return wide;
}

/** How far each pixel is from the commonest colour, of 255: values (height, width). */
function apart(working) {
  const { data, width, height } = working;
  const some = every(data, working, Math.min(width, height) >= SMOOTHED_PX ? 2 : 1);
  const paper = [0, 1, 2].map((channel) => median(some.filter((_, at) => at % 3 === channel)));
  const values = new Float32Array(width * height);
  for (let pixel = 0; pixel < values.length; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      values[pixel] = Math.max(values[pixel], Math.abs(data[3 * pixel + channel] - paper[channel]));
    }
  }
  return { values, width, height };
}

/** Rows and columns that are left where lines of another colour lie along the picture's edges. */
function withoutBorder({ values, width, height }) {
  const row = (y) => values.slice(y * width, (y + 1) * width);
  const column = (x) => Float32Array.from({ length: height }, (_, y) => values[y * width + x]);
  return {
    top: borderLines(height, row),
    bottom: height - borderLines(height, (y) => row(height - 1 - y)),
    left: borderLines(width, column),
    right: width - borderLines(width, (x) => column(width - 1 - x)),
  };
}

/** How many lines to cut, counted from an edge; `line` gives the values of the one at a place. */
function borderLines(count, line) {
  const isForeign = (values) => values.reduce((sum, value) => sum + (value > STEP), 0) / values.length > 0.9;
  let number = 0;
  while (number < count && isForeign(line(number))) number++;
  if (number === 0 || number >= Math.floor(count / 3)) return 0; // all of them would be no border either
  const falls = median(line(number - 1)) - median(line(Math.min(number + 1, count - 1)));
  return falls > STEP ? number + 2 : 0;
}

/** Rows and columns inside of the largest frame, or of a sheet that lies on something of another colour. */
function withoutFrame({ values, width, height }) {
  const most = values.reduce((found, value) => Math.max(found, value), 0);
  const least = Math.fround(Math.max(LEAST_CONTRAST, 0.4 * most));
  const marked = Uint8Array.from(values, (value) => value > least);
  let best = { top: 0, bottom: height, left: 0, right: width };
  if (!twoLongLines(height, width, (y, x) => marked[y * width + x])) return best;
  if (!twoLongLines(width, height, (x, y) => marked[y * width + x])) return best;
  let largest = 0;
  for (const { numbers, number, top, bottom, left, right } of connected(marked, width, height)) {
    const [rows, columns] = [bottom - top, right - left];
    if (rows < LEAST_SIDE * height || columns < LEAST_SIDE * width || Math.min(rows, columns) < 12) continue;
    const own = (y, x) => numbers[(top + y) * width + left + x] === number;
    const margin = framePx(rows, columns, own);
    if (margin === null || rows * columns <= largest) continue;
    largest = rows * columns;
    best = { top: top + margin, bottom: bottom - margin, left: left + margin, right: right - margin };
  }
  return best;
}

/** Whether marked pixels may be the upper and the lower side of what `withoutFrame` looks for. */
function twoLongLines(height, width, isMarked) {
  const near = Math.max(2, Math.floor(Math.min(height, width) / 16));
  const counts = new Uint32Array(height); // of each row, pixels that are marked in it or in the next few
  for (let x = 0; x < width; x++) {
    for (let y = height - 1, next = Infinity; y >= 0; y--) {
      if (isMarked(y, x)) next = y;
      if (next - y < near) counts[y]++;
    }
  }
  const isLong = (count) => count >= COVERED * LEAST_SIDE * width;
  const first = counts.findIndex(isLong);
  return first >= 0 && counts.findLastIndex(isLong) - first >= LEAST_SIDE * height - 2 * near;
}

/** Groups of marked pixels that touch, if only at corners, and their boxes, in the order of their first pixels. */
function* connected(marked, width, height) {
  const numbers = new Int32Array(marked.length);
  let number = 0;
  for (let seed = 0; seed < marked.length; seed++) {
    if (!marked[seed] || numbers[seed]) continue;
    number += 1;
    numbers[seed] = number;
    const box = { top: height, bottom: 0, left: width, right: 0 };
    for (const open = [seed]; open.length;) {
      const pixel = open.pop();
      const [y, x] = [Math.floor(pixel / width), pixel % width];
      box.top = Math.min(box.top, y);
      box.bottom = Math.max(box.bottom, y + 1);
      box.left = Math.min(box.left, x);
      box.right = Math.max(box.right, x + 1);
      for (let row = Math.max(0, y - 1); row <= Math.min(height - 1, y + 1); row++) {
        for (let column = Math.max(0, x - 1); column <= Math.min(width - 1, x + 1); column++) {
          const other = row * width + column;
          if (!marked[other] || numbers[other]) continue;
          numbers[other] = number;
          open.push(other);
        }
      }
    }
    yield { numbers, number, ...box };
  }
}

/** How many pixels the lines of a frame take at its sides, or a sheet's edge; null for what is neither. */
function framePx(height, width, own) {
  const near = Math.max(2, Math.floor(Math.min(height, width) / 16));
  const sides = [
    covered(width, near, (along, depth) => own(depth, along)),
    covered(width, near, (along, depth) => own(height - 1 - depth, along)),
    covered(height, near, (along, depth) => own(along, depth)),
    covered(height, near, (along, depth) => own(along, width - 1 - depth)),
  ];
  if (Math.min(...sides) < COVERED) return null;
  let count = 0;
  let deepest = -1; // how far from the nearest side the innermost pixel lies
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!own(y, x)) continue;
      count += 1;
      deepest = Math.max(deepest, Math.min(y, x, height - 1 - y, width - 1 - x));
    }
  }
  if (count / (height * width) > 0.6) return near; // a sheet: what is written on it are holes
  const margin = Math.max(near, deepest + 1); // inside of it is nothing of the frame
  return margin < Math.floor(Math.min(height, width) / 5) ? margin + 1 : null;
}

/** Which part of a side has a pixel of the group within a few of it. */
function covered(length, near, own) {
  let count = 0;
  for (let along = 0; along < length; along++) {
    for (let depth = 0; depth < near; depth++) {
      if (own(along, depth)) {
        count += 1;
        break;
      }
    }
  }
  return count / length;
}
