// What a picture file says of itself before any pixel is decoded: format, sides, frames, orientation, whether it ends.

import { isExif, orientation, orientationInXmp } from "./exif.js";
import { damaged } from "./errors.js";

const TO_TRY = /^(heic|heix|hevc|hevx|heim|heis|mif1|msf1)$/; // some browsers read them

/**
 * The format of a file by its first 16 bytes.
 *
 * @param {Uint8Array} head
 * @returns {string | null} JPEG, PNG, GIF, WEBP, BMP, AVIF, or OTHER where only some browsers read it; null for what is
 *   no picture.
 */
export function formatOf(head) {
  const text = latin(head, 0, 16);
  if (text.startsWith("\xff\xd8\xff")) return "JPEG";
  if (text.startsWith("\x89PNG\r\n\x1a\n")) return "PNG";
  if (/^GIF8[79]a/.test(text)) return "GIF";
  if (/^RIFF[^]{4}WEBP/.test(text)) return "WEBP";
  if (text.startsWith("BM")) return "BMP";
  if (/^(II\*\0|MM\0\*)/.test(text)) return "OTHER";
  const brand = text.slice(4, 8) === "ftyp" ? text.slice(8, 12) : "";
  if (/^avi[fs]$/.test(brand)) return "AVIF";
  return TO_TRY.test(brand) ? "OTHER" : null;
}

/**
 * What the headers of a whole file say.
 *
 * @param {Uint8Array} bytes the file.
 * @param {string} format as `formatOf` gives it.
 * @param {string} name for messages.
 * @returns {{width: number, height: number, frames: number, orientation: ?{turn: number, clear: function(): void},
 *   beside: ?number[]}} sides in pixels as stored, 0 where the format does not say them in a plain place (AVIF); beside
 *   is the colour, RGB, of what an opaque first frame of a GIF leaves over.
 * @throws {PictureError} the file is cut; of PNG and BMP only what is cut within the header is found here.
 */
export function examine(bytes, format, name) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const found = { width: 0, height: 0, frames: 0, orientation: null, beside: null, whole: false };
  try {
    READERS[format]?.(bytes, view, found);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  if (READERS[format] && !(found.width && found.height)) throw damaged(name, "its header is not complete");
  if (READERS[format] && !found.whole) throw damaged(name, "it ends before its picture does"); // some browsers fill up
  return { ...found, frames: Math.max(1, found.frames), orientation: found.orientation ?? found.inXmp ?? null };
}

const READERS = { JPEG: jpeg, PNG: png, GIF: gif, WEBP: webp, BMP: bmp };

function jpeg(bytes, view, found) {
  for (let at = 2; ;) {
    at = bytes.indexOf(0xff, at);
    if (at < 0) return;
    while (view.getUint8(at) === 0xff) at++;
    const marker = bytes[at++];
    if (marker === 0xd9) found.whole = true;
    if (marker === 0xd9) return;
    if (marker <= 1 || (marker >= 0xd0 && marker <= 0xd8)) continue;
    const end = at + view.getUint16(at);
    if (marker === 0xe1 && isExif(bytes, at + 2)) found.orientation ??= orientation(bytes, at + 2, end);
    else if (marker === 0xe1) found.inXmp ??= orientationInXmp(bytes, at + 2, end);
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      found.height = view.getUint16(at + 3);
      found.width = view.getUint16(at + 5);
    }
    at = end;
  }
}

function png(bytes, view, found) {
  found.width = view.getUint32(16);
  found.height = view.getUint32(20);
  found.whole = true; // whether its pixels are is found where they are unpacked
  let [shown, drawn] = [0, false];
  for (const { type, start, end } of chunks(bytes)) {
    if (type === "eXIf") found.orientation ??= orientation(bytes, start, end);
    if (type === "iTXt") found.inXmp ??= orientationInXmp(bytes, start, end);
    if (type === "acTL") shown = view.getUint32(start);
    if (type === "fcTL" && !drawn) shown -= 1; // the picture itself is the first frame of the animation
    if (type === "fcTL" || type === "IDAT") drawn = true;
  }
  found.frames = 1 + shown;
}

function gif(bytes, view, found) {
  found.width = view.getUint16(6, true);
  found.height = view.getUint16(8, true);
  const colours = (flags) => (flags & 0x80 ? 3 << ((flags & 7) + 1) : 0);
  const afterBlocks = (at) => {
    while (view.getUint8(at)) at += 1 + bytes[at];
    return at + 1;
  };
  let transparent = false;
  for (let at = 13 + colours(view.getUint8(10)); at < bytes.length && bytes[at] !== 0x3b;) {
    if (bytes[at] === 0x21) {
      if (bytes[at + 1] === 0xf9) transparent = Boolean(view.getUint8(at + 3) & 1);
      at = afterBlocks(at + 2);
    } else if (bytes[at] === 0x2c) {
      const own = colours(view.getUint8(at + 9));
      const palette = own ? at + 10 : 13;
      const known = own || colours(bytes[10]);
      if (!found.frames && !transparent) found.beside = known ? [...bytes.subarray(palette, palette + 3)] : [0, 0, 0];
      at = afterBlocks(at + 11 + own);
      found.frames += 1;
      found.whole = true;
    } else {
      at++;
    }
  }
}

function webp(bytes, view, found) {
  found.whole = bytes.length >= 8 + view.getUint32(4, true);
  for (let at = 12; at + 8 <= bytes.length;) {
    const type = latin(bytes, at, at + 4);
    const [start, end] = [at + 8, at + 8 + view.getUint32(at + 4, true)];
    if (type === "VP8X") {
      found.width = 1 + (view.getUint32(start + 4, true) & 0xffffff);
      found.height = 1 + (view.getUint32(start + 6, true) >>> 8);
    } else if (type === "VP8 " && !found.width) {
      found.width = view.getUint16(start + 6, true) & 0x3fff;
      found.height = view.getUint16(start + 8, true) & 0x3fff;
    } else if (type === "VP8L" && !found.width) {
      const sides = view.getUint32(start + 1, true);
      found.width = 1 + (sides & 0x3fff);
      found.height = 1 + ((sides >>> 14) & 0x3fff);
    } else if (type === "EXIF") {
      found.orientation ??= orientation(bytes, start, end);
    } else if (type === "XMP ") {
      found.inXmp ??= orientationInXmp(bytes, start, end);
    } else if (type === "ANMF") {
      found.frames += 1;
    }
    at = end + (end & 1);
  }
}

function bmp(bytes, view, found) {
  const old = view.getUint32(14, true) === 12;
  found.width = old ? view.getUint16(18, true) : Math.abs(view.getInt32(18, true));
  found.height = old ? view.getUint16(20, true) : Math.abs(view.getInt32(22, true));
  const bits = view.getUint16(old ? 24 : 28, true);
  const compressed = !old && [1, 2, 4, 5].includes(view.getUint32(30, true));
  const lines = found.height * 4 * Math.ceil((found.width * bits) / 32);
  found.whole = compressed || bytes.length >= view.getUint32(10, true) + lines; // the size it names is often wrong
}

/**
 * The chunks of a PNG up to its end, or to where the file is cut.
 *
 * @param {Uint8Array} bytes the file.
 * @yields {{type: string, start: number, end: number}} where the chunk"s content lies; `end` may be beyond the file.
 */
export function* chunks(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 8; at + 8 <= bytes.length;) {
    const [start, end] = [at + 8, at + 8 + view.getUint32(at)];
    const type = latin(bytes, at + 4, at + 8);
    yield { type, start, end };
    if (type === "IEND") return;
    at = end + 4;
  }
}

/** Bytes as characters of Latin-1. */
export function latin(bytes, start, end) {
  return String.fromCharCode(...bytes.subarray(start, end));
}
