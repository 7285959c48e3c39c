// Pixels of what the browser itself decodes.

import { PictureError } from "./errors.js";

const TILE_PX = 2048; // canvases and textures of this side are had everywhere
const MOST_ALTERED = 8; // of 255: some browsers change pixels by less, others hide them and give noise

/**
 * How far off the pixels are that a page reads from a canvas: some browsers alter or hide them against tracking.
 *
 * @returns {number} the greatest difference to what was drawn, of 255.
 */
function alteration() {
  const context = new OffscreenCanvas(64, 64).getContext("2d", { willReadFrequently: true });
  const drawn = new ImageData(64, 64);
  for (let at = 0; at < drawn.data.length; at++) drawn.data[at] = at % 4 === 3 ? 255 : (at * 37) >> 3;
  context.putImageData(drawn, 0, 0);
  const read = context.getImageData(0, 0, 64, 64).data;
  return read.reduce((most, value, at) => Math.max(most, Math.abs(value - drawn.data[at])), 0);
}

/**
 * The pixels of a bitmap.
 *
 * @param {ImageBitmap} bitmap made without premultiplying.
 * @param {boolean} opaque whether its format knows no transparency.
 * @param {string} name for messages.
 * @returns {Promise<{data: Uint8Array, channels: 3 | 4, width: number, height: number, notes: string[]}>} RGB where
 *   opaque, else RGBA, not premultiplied.
 * @throws {PictureError} this browser hides pixels from pages.
 */
export async function pixelsOf(bitmap, opaque, name) {
  const altered = alteration();
  if (altered > MOST_ALTERED) {
    throw new PictureError(
      `${name} cannot be read: this browser hides pixels from pages; allow this page to read canvases, or give a PNG`,
    );
  }
  const { width, height } = bitmap;
  const channels = opaque ? 3 : 4;
  const data = new Uint8Array(width * height * channels);
  const notes = altered ? [ALTERED] : [];
  let rounded = false;
  for (let top = 0; top < height; top += TILE_PX) {
    for (let left = 0; left < width; left += TILE_PX) {
      const [columns, rows] = [Math.min(TILE_PX, width - left), Math.min(TILE_PX, height - top)];
      let tile = drawn(bitmap, left, top, columns, rows);
      if (!opaque && halfTransparent(tile)) {
        const exact = await uploaded(bitmap, left, top, columns, rows);
        rounded ||= !exact;
        tile = exact ?? tile;
      }
      for (let row = 0; row < rows; row++) {
        let to = ((top + row) * width + left) * channels;
        const line = tile.subarray(4 * row * columns, 4 * (row + 1) * columns);
        if (!opaque) data.set(line, to);
        for (let from = 0; opaque && from < line.length; from += 4, to += 3) {
          data[to] = line[from];
          data[to + 1] = line[from + 1];
          data[to + 2] = line[from + 2];
        }
      }
    }
  }
  if (rounded) notes.push("half transparent colours are rounded: this browser has no WebGL");
  return { data, channels, width, height, notes };
}

const ALTERED = "this browser alters the pixels that a page reads, so that answers may differ a little";

/** Through a 2D canvas, which is exact where alpha is 0 or 255. */
function drawn(bitmap, left, top, width, height) {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, -left, -top);
  return context.getImageData(0, 0, width, height).data;
}

function halfTransparent(rgba) {
  for (let at = 3; at < rgba.length; at += 4) if (rgba[at] !== 0 && rgba[at] !== 255) return true;
  return false;
}

/** Through a texture, which keeps colours apart from their opacity; null where there is no WebGL. */
async function uploaded(bitmap, left, top, width, height) {
  const gl = new OffscreenCanvas(1, 1).getContext("webgl");
  if (!gl) return null;
  const asStored = { premultiplyAlpha: "none", colorSpaceConversion: "none" };
  const tile = await createImageBitmap(bitmap, left, top, width, height, asStored);
  gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
  gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, tile);
  tile.close();
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
  const rgba = new Uint8Array(4 * width * height);
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, rgba);
  const failed = gl.getError() !== gl.NO_ERROR;
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return failed ? null : rgba;
}
