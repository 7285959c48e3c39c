// Pixels of what the browser itself decodes.

const TILE_PX = 2048; // canvases and textures of this side are had everywhere

/**
 * The pixels of a bitmap.
 *
 * @param {ImageBitmap} bitmap made without premultiplying.
 * @param {boolean} opaque whether its format knows no transparency.
 * @returns {Promise<{data: Uint8Array, channels: 3 | 4, width: number, height: number, notes: string[]}>} RGB where
 *   opaque, else RGBA, not premultiplied.
 */
export async function pixelsOf(bitmap, opaque) {
  const { width, height } = bitmap;
  const channels = opaque ? 3 : 4;
  const data = new Uint8Array(width * height * channels);
  const notes = [];
  for (let top = 0; top < height; top += TILE_PX) {
    for (let left = 0; left < width; left += TILE_PX) {
      const [columns, rows] = [Math.min(TILE_PX, width - left), Math.min(TILE_PX, height - top)];
      let tile = drawn(bitmap, left, top, columns, rows);
      if (!opaque && halfTransparent(tile)) {
        const exact = await uploaded(bitmap, left, top, columns, rows);
        if (!exact && !notes.length) notes.push("half transparent colours are rounded: this browser has no WebGL");
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
  return { data, channels, width, height, notes };
}

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
  const tile = await createImageBitmap(bitmap, left, top, width, height, { premultiplyAlpha: "none", colorSpaceConversion: "none" });
  gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
  gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, tile);
  tile.close();
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, gl.getParameter(gl.TEXTURE_BINDING_2D), 0);
  const rgba = new Uint8Array(4 * width * height);
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, rgba);
  const failed = gl.getError() !== gl.NO_ERROR;
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return failed ? null : rgba;
}
