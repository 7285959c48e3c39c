// What a network saw of a picture, and which parts of it speak for a label.
import { canvasOf } from "./encoding.js";
import { pixelsOf } from "./pixels.js";

const GRID = 7; // parts of a picture along each side that are covered one after the other
const LOOKED_AT_PX = 400; // longer side of the picture that is looked into
const AT_ONCE = 7; // covered pictures in a call

/**
 * The prepared picture as a canvas, its darkest value black and its lightest white.
 * @param {{data: Float32Array, dims: number[]}} tensor (1, channels, height, width) with 1 or 3 channels.
 * @returns {HTMLCanvasElement|null} null for something else.
 */
export function preparedCanvas({ data, dims }) {
  const [, channels, height, width] = dims;
  if (dims.length !== 4 || ![1, 3].includes(channels)) return null;
  let [low, high] = [Infinity, -Infinity];
  for (const value of data) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const pixels = new Uint8Array(height * width * 3);
  const plane = height * width;
  for (let place = 0; place < plane; place++) {
    for (let channel = 0; channel < 3; channel++) {
      const value = data[(channel % channels) * plane + place];
      pixels[3 * place + channel] = Math.round((255 * (value - low)) / Math.max(high - low, 1e-9));
    }
  }
  return canvasOf({ data: pixels, width, height });
}

/**
 * How much less sure of a label a model is where parts of a picture are covered (Zeiler and Fergus 2014, section 4.2).
 * @param {object} model as `Model`. @param {object} picture decoded. @param {number} label its place.
 * @param {(done: number, all: number) => void} told
 * @returns {Promise<{map: Float32Array, size: number}>} (size, size), what the score loses, at least 0.
 */
export async function occlusion(model, picture, label, told) {
  const small = shrunk(picture, LOOKED_AT_PX);
  const { width, height } = small;
  const mean = [0, 1, 2].map((channel) => {
    let sum = 0;
    for (let place = channel; place < small.data.length; place += 3) sum += small.data[place];
    return sum / (width * height);
  });
  const whole = (await model.ask(small)).values[label];
  const map = new Float32Array(GRID * GRID);
  const size = width * height * 3;
  for (let first = 0; first < GRID * GRID; first += AT_ONCE) {
    told(first, GRID * GRID);
    const number = Math.min(AT_ONCE, GRID * GRID - first);
    const batch = new Float32Array(number * size);
    for (let one = 0; one < number; one++) {
      const part = batch.subarray(one * size, (one + 1) * size);
      part.set(small.data);
      cover(part, width, height, first + one, mean);
    }
    const { values, dims } = await model.answer(batch, [number, height, width, 3]);
    for (let one = 0; one < number; one++) map[first + one] = Math.max(whole - values[one * dims[1] + label], 0);
  }
  return { map, size: GRID };
}

/** Put the mean colour over one part of the grid and half of its neighbours. */
function cover(pixels, width, height, place, mean) {
  const [row, column] = [Math.floor(place / GRID), place % GRID];
  const edges = (index, side) => [
    Math.max(0, Math.floor(((index - 0.5) * side) / GRID)),
    Math.min(side, Math.ceil(((index + 1.5) * side) / GRID)),
  ];
  const [top, bottom] = edges(row, height);
  const [left, right] = edges(column, width);
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) pixels.set(mean, 3 * (y * width + x));
  }
}

function shrunk(picture, side) {
  const share = side / Math.max(picture.width, picture.height);
  if (share >= 1) return picture;
  const [width, height] = [picture.width, picture.height].map((length) => Math.max(1, Math.round(length * share)));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(canvasOf(picture), 0, 0, width, height);
  return pixelsOf(context);
}

/** The picture in grey with what speaks for a label laid over it in colour. */
export function heatCanvas(picture, { map, size }) {
  const canvas = canvasOf(picture);
  const context = canvas.getContext("2d");
  const most = Math.max(...map, 1e-9);
  const small = document.createElement("canvas");
  small.width = small.height = size;
  const colours = new ImageData(size, size);
  map.forEach((value, place) => colours.data.set([255, 70, 0, Math.round((190 * value) / most)], 4 * place));
  small.getContext("2d").putImageData(colours, 0, 0);
  context.fillStyle = "rgb(128 128 128 / 45%)";
  context.globalCompositeOperation = "saturation";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.globalCompositeOperation = "source-over";
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  return canvas;
}
