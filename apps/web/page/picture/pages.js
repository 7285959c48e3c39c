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
  for (let at = 0; at < some.length; at++) some[at] = Math.abs(some[at] - middle);
  let noise = 1.4826 * median(some);
  if (large) {
    [residual, noise] = [smoothed(residual, working), noise / 3]; // noise becomes a third, strokes stay
  }
  let most = 0;
  for (let at = 0; at < residual.length; at++) most = Math.max(most, Math.abs(residual[at]));
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

const copies = new WeakMap(); // by pixels: pictures are looked at more than once

/** The picture averaged to a longer side of `WORKING_PX` at most. */
function workingCopy(picture) {
  const { data, width, height } = picture;
  const factor = WORKING_PX / Math.max(height, width);
  if (factor >= 1) return picture;
  if (!copies.has(data)) {
    copies.set(data, boxed(picture, Math.max(1, roundEven(width * factor)), Math.max(1, roundEven(height * factor))));
  }
  return copies.get(data);
}

/** Every so many pixels of every so many rows, of three channels each. */
function every(values, { width, height }, step) {
  const some = new Float32Array(3 * Math.ceil(height / step) * Math.ceil(width / step));
  let to = 0;
  for (let y = 0; y < height; y += step) {
    for (let x = 0; x < width; x += step) {
      const at = 3 * (y * width + x);
      some[to++] = values[at];
      some[to++] = values[at + 1];
      some[to++] = values[at + 2];
    }
  }
  return some;
}

/** What light that changes evenly over the picture, a plane, does not explain: (height, width, 3). */
function withoutLight({ data, width, height }) {
  const residual = new Float32Array(data.length);
  for (let channel = 0; channel < 3; channel++) {
    let sum = 0;
    for (let at = channel; at < data.length; at += 3) sum += data[at];
    const mean = Math.fround(sum / (width * height));
    for (let at = channel; at < data.length; at += 3) residual[at] = data[at] - mean;
    level(residual, channel, width, height, true);
    level(residual, channel, width, height, false);
  }
  return residual;
}

/** Take from a channel, in place, what changes evenly down the picture, or across it. */
function level(residual, channel, width, height, down) {
  const [length, lines] = down ? [height, width] : [width, height];
  if (length === 1) return;
  const place = places(length);
  const squares = place.reduce((sum, value) => sum + value * value, 0);
  let slope = 0;
  for (let y = 0, at = channel; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) slope += place[down ? y : x] * residual[at];
  }
  for (let y = 0, at = channel; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      residual[at] -= (place[down ? y : x] * slope) / lines / Math.max(squares, 1e-9);
    }
  }
}

/** Of each line, where it lies between the first, -1, and the last, 1: their sum is 0. */
function places(length) {
  const found = new Float32Array(length);
  for (let line = 0; line < length; line++) found[line] = -1 + (2 * line) / (length - 1);
  return found;
}

/** Means of 3x3 pixels, those at the edges repeated. */
function smoothed(values, { width, height }) {
  const tall = new Float32Array(values.length);
  const wide = new Float32Array(values.length);
  const line = 3 * width;
  for (let y = 0, at = 0; y < height; y++) {
    const [above, below] = [y > 0 ? line : 0, y < height - 1 ? line : 0];
    for (const end = at + line; at < end; at++) tall[at] = values[at - above] + values[at] + values[at + below];
  }
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [before, behind] = [x > 0 ? 3 : 0, x < width - 1 ? 3 : 0];
      for (const end = at + 3; at < end; at++) wide[at] = (tall[at - before] + tall[at] + tall[at + behind]) / 9;
    }
  }
  return wide;
}

/** How far each pixel is from the commonest colour, of 255: values (height, width). */
function apart(working) {
  const { data, width, height } = working;
  const some = every(data, working, Math.min(width, height) >= SMOOTHED_PX ? 2 : 1);
  const values = new Float32Array(width * height);
  for (let channel = 0; channel < 3; channel++) {
    const own = new Float32Array(some.length / 3);
    for (let pixel = 0; pixel < own.length; pixel++) own[pixel] = some[3 * pixel + channel];
    const paper = median(own);
    for (let pixel = 0; pixel < values.length; pixel++) {
      values[pixel] = Math.max(values[pixel], Math.abs(data[3 * pixel + channel] - paper));
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
  let most = 0;
  for (let pixel = 0; pixel < values.length; pixel++) most = Math.max(most, values[pixel]);
  const least = Math.fround(Math.max(LEAST_CONTRAST, 0.4 * most));
  const marked = new Uint8Array(values.length);
  for (let pixel = 0; pixel < marked.length; pixel++) marked[pixel] = values[pixel] > least;
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
