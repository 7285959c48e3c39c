// Pictures onto canvases and into PNG files.

import { checksum } from "../picture_files/checksum.js";
import { averaged } from "../picture_files/opaque.js";

/**
 * A canvas that shows a picture.
 *
 * @param {{data: Uint8Array|Uint8ClampedArray, width: number, height: number}} picture RGB.
 * @returns {HTMLCanvasElement|OffscreenCanvas} of its size; offscreen in a worker.
 */
export function canvasOf({ data, width, height }) {
  const rgba = new ImageData(width, height);
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) {
    rgba.data[to] = data[from];
    rgba.data[to + 1] = data[from + 1];
    rgba.data[to + 2] = data[from + 2];
    rgba.data[to + 3] = 255;
  }
  const canvas = empty(width, height);
  canvas.getContext("2d").putImageData(rgba, 0, 0);
  return canvas;
}

/**
 * A small copy of a picture.
 *
 * @param {{data: Uint8Array|Uint8ClampedArray, width: number, height: number}} picture RGB.
 * @param {number} side longest that its longer side may be, px; a smaller picture is not enlarged.
 * @returns {HTMLCanvasElement|OffscreenCanvas}
 */
export function thumbnail(picture, side) {
  const factor = Math.min(1, side / Math.max(picture.width, picture.height));
  const [width, height] = [picture.width, picture.height].map((length) => Math.max(1, Math.round(length * factor)));
  const canvas = empty(width, height);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(canvasOf(averaged(picture, 4 * width * height)), 0, 0, width, height);
  return canvas;
}

function empty(width, height) {
  if (typeof document === "undefined") return new OffscreenCanvas(width, height);
  return Object.assign(document.createElement("canvas"), { width, height });
}

/**
 * A picture as a PNG file, pixel for pixel: no canvas, whose size and exactness differ between browsers, is between.
 *
 * @param {{data: Uint8Array|Uint8ClampedArray, width: number, height: number}} picture RGB.
 * @returns {Promise<Blob>} of type image/png, 8 bits a channel.
 */
export async function pngOf({ data, width, height }) {
  const packed = new Blob([filtered(data, width, height)]).stream().pipeThrough(new CompressionStream("deflate"));
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, 2], 8); // bits a channel, RGB
  const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
  const pixels = new Uint8Array(await new Response(packed).arrayBuffer());
  const parts = [part("IHDR", header), part("IDAT", pixels), part("IEND", new Uint8Array())];
  return new Blob([signature, ...parts], { type: "image/png" });
}

/** Lines after Paeth's filter (PNG 1.2, 6.6), each with the filter's number before it. */
function filtered(data, width, height) {
  const length = 3 * width;
  const lines = new Uint8Array(height * (1 + length));
  const blank = new Uint8Array(length);
  for (let row = 0; row < height; row++) {
    const line = data.subarray(row * length, (row + 1) * length);
    const above = row ? data.subarray((row - 1) * length, row * length) : blank;
    let to = row * (1 + length);
    lines[to++] = 4;
    for (let at = 0; at < length; at++) {
      const a = at < 3 ? 0 : line[at - 3];
      const b = above[at];
      const c = at < 3 ? 0 : above[at - 3];
      const [toA, toB, toC] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - c - c)];
      lines[to++] = line[at] - (toA <= toB && toA <= toC ? a : toB <= toC ? b : c);
    }
  }
  return lines;
}

function part(type, content) {
  const bytes = new Uint8Array(content.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  for (let place = 0; place < 4; place++) bytes[4 + place] = type.charCodeAt(place);
  bytes.set(content, 8);
  view.setUint32(8 + content.length, checksum(bytes, 4, 8 + content.length));
  return bytes;
}
