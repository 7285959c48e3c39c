// Files become pixels: the same ones that `data/images/decoding.py` gives.

import { pixelsOf } from "../picture_files/bitmap.js";
import { damaged, PictureError } from "../picture_files/errors.js";
import { upright } from "../picture_files/exif.js";
import { examine, formatOf } from "../picture_files/header.js";
import { averaged, opaque } from "../picture_files/opaque.js";
import { decodePng } from "../picture_files/png.js";

/** Largest picture that is decoded, in pixels: RGBA of it takes 400 MB. */
export const MAX_PIXELS = 100_000_000;

/**
 * Read a picture as people see it, upright and opaque. Runs in a window and in a worker.
 *
 * JPEG, PNG, WebP, GIF, BMP, AVIF and whatever else of pictures this browser reads (TIFF and HEIC in some), recognised
 * by content; of several frames the first. Exif orientation is applied, colour profiles are not. PNG of 16 bits is
 * scaled where fewer are used. Transparent pictures are laid over white, or over black where what is visible is nearly
 * white.
 *
 * @param {Blob} blob a file.
 * @param {{mostPixels?: ?number, name?: string}} options mostPixels: a picture of more is averaged over squares of 2x2,
 *   3x3 ... pixels, the smallest that are enough; name: of the file, for messages.
 * @returns {Promise<{data: Uint8Array, width: number, height: number, notes: string[]}>} RGB, 0..255, of
 *   height * width * 3 bytes, and remarks on what is done to the picture.
 * @throws {PictureError} the file is empty, unreadable, cut, no picture, of a format that this browser does not read,
 *   or of more than `MAX_PIXELS`, which is found before any pixel is decoded where the header tells its size.
 */
export async function decode(blob, options = {}) {
  const { mostPixels = null, name = blob.name || `the picture of ${blob.size} bytes` } = options;
  if (blob.size === 0) throw new PictureError(`${name} is empty (0 bytes); replace it with a complete copy`);
  const format = formatOf(await content(blob.slice(0, 16), name));
  if (format === null) {
    throw new PictureError(`${name} holds no picture of a known format; give a complete PNG, JPEG, WebP, GIF or BMP`);
  }
  const bytes = await content(blob, name);
  const header = examine(bytes, format, name);
  refuseLarge(header, name);
  const turn = header.orientation?.turn ?? 1;
  if (format !== "PNG") header.orientation?.clear(); // browsers differ in what they turn; averages come before
  const stored = format === "PNG" ? await decodePng(bytes, name) : await byBrowser(bytes, format, name);
  if (header.beside) fill(stored.data, header.beside);
  const frames = header.frames > 1 ? [`has ${header.frames} frames or pages; the first one is read`] : [];
  return { ...upright(averaged(opaque(stored), mostPixels), turn), notes: [...frames, ...stored.notes] };
}

async function content(blob, name) {
  try {
    return new Uint8Array(await blob.arrayBuffer());
  } catch (error) {
    const reason = error instanceof RangeError ? "it does not fit into memory" : error.message;
    throw new PictureError(`${name} cannot be opened (${reason}); choose it again`);
  }
}

function refuseLarge({ width, height }, name) {
  const pixels = width * height;
  if (pixels <= MAX_PIXELS) return;
  const [count, limit] = [pixels, MAX_PIXELS].map((number) => number.toLocaleString("en-US"));
  throw new PictureError(
    `${name} is too large: ${width}x${height} has ${count} pixels, the limit is ${limit}; make it smaller first`,
  );
}

async function byBrowser(bytes, format, name) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(new Blob([bytes], { type: TYPES[format] ?? "" }), {
      imageOrientation: "from-image",
      premultiplyAlpha: "none",
      colorSpaceConversion: "none",
    });
  } catch {
    if (format === "AVIF" || format === "OTHER") {
      throw new PictureError(`${name} is no picture that this browser reads: convert it to PNG or JPEG`);
    }
    throw damaged(name, `this browser cannot decode it as ${format}`);
  }
  try {
    refuseLarge(bitmap, name);
    return await pixelsOf(bitmap, format === "JPEG", name);
  } finally {
    bitmap.close();
  }
}

/** Paint what is transparent of RGBA, in place. */
function fill(rgba, colour) {
  for (let at = 0; at < rgba.length; at += 4) if (rgba[at + 3] === 0) rgba.set([...colour, 255], at);
}

const TYPES = { JPEG: "image/jpeg", WEBP: "image/webp", GIF: "image/gif", BMP: "image/bmp", AVIF: "image/avif" };
