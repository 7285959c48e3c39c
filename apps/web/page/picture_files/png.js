// PNG as stored: every depth and kind of colour, transparency kept apart from colour, 16 bits with their white.
// A 2D canvas would multiply colours by their opacity, and browsers keep 8 of 16 bits.

import { checksum } from "./checksum.js";
import { damaged } from "./errors.js";
import { chunks } from "./header.js";
import { FULL, inEight, remark, UPPER_BITS, whiteOf } from "./sixteen.js";

const CHANNELS = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const DEPTHS = { 0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16] };
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
];

/**
 * Decode a PNG; of an animation the default image.
 *
 * @param {Uint8Array} bytes the file, whose size is checked already.
 * @param {string} name for messages.
 * @returns {Promise<{data: Uint8Array, channels: 3 | 4, width: number, height: number, notes: string[]}>} RGB or RGBA,
 *   not premultiplied.
 * @throws {PictureError} it is cut, or contradicts itself.
 */
export async function decodePng(bytes, name) {
  const file = parsed(bytes, name);
  const lines = await inflated(file, name);
  const stored = unpacked(file, lines, name);
  const picture = file.depth === 16 ? ofSixteen(file, stored) : ofEight(file, stored);
  return { notes: [], ...picture, width: file.width, height: file.height };
}

function parsed(bytes, name) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const file = { parts: [], palette: null, key: null, bits: null };
  for (const { type, start, end } of chunks(bytes)) {
    if (type === "IEND") break;
    if (type === "IDAT") {
      file.parts.push(bytes.subarray(start, end));
      continue;
    }
    if (file.parts.length) break;
    if (end + 4 > bytes.length) throw damaged(name, `it ends in its part ${type}`);
    if (checksum(bytes, start - 4, end) !== view.getUint32(end)) throw damaged(name, `its part ${type} is altered`);
    const content = bytes.subarray(start, end);
    if (type === "IHDR") {
      Object.assign(file, { width: view.getUint32(start), height: view.getUint32(start + 4) });
      Object.assign(file, { depth: bytes[start + 8], kind: bytes[start + 9], interlaced: bytes[start + 12] === 1 });
    }
    if (type === "PLTE") file.palette = content;
    if (type === "tRNS") file.key = content;
    if (type === "sBIT") file.bits = Math.max(...content.subarray(0, 4)) || null;
  }
  if (!DEPTHS[file.kind]?.includes(file.depth)) throw damaged(name, "its header names no known kind of colour");
  if (file.kind === 3 && !file.palette) throw damaged(name, "its palette is missing");
  file.channels = CHANNELS[file.kind];
  return file;
}

/** Passes of a picture: where their pixels lie and how large they are; one where it is not interlaced. */
function passes({ width, height, interlaced }) {
  const all = interlaced ? PASSES : [[0, 0, 1, 1]];
  return all
    .map(([left, top, along, down]) => {
      const [columns, rows] = [Math.ceil((width - left) / along), Math.ceil((height - top) / down)];
      return { left, top, along, down, columns, rows };
    })
    .filter(({ columns, rows }) => columns > 0 && rows > 0);
}

const lineBytes = ({ depth, channels }, columns) => Math.ceil((columns * depth * channels) / 8);

async function inflated(file, name) {
  const size = passes(file).reduce((sum, { columns, rows }) => sum + rows * (1 + lineBytes(file, columns)), 0);
  const lines = new Uint8Array(size);
  const reader = new Blob(file.parts).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
  let filled = 0;
  try {
    while (filled < size) {
      const { value, done } = await reader.read();
      if (done) break;
      lines.set(value.subarray(0, size - filled), filled);
      filled += Math.min(value.length, size - filled);
    }
  } catch {
    throw damaged(name, "its pixels end too early or cannot be unpacked");
  }
  if (filled < size) throw damaged(name, "its pixels end too early");
  reader.cancel().catch(() => {}); // what follows the pixels does not matter
  return lines;
}

/** Samples as stored, (height, width, channels): Uint8Array, of 16 bits Uint16Array. */
function unpacked(file, lines, name) {
  const { width, height, depth, channels } = file;
  const Kind = depth === 16 ? Uint16Array : Uint8Array;
  const samples = new Kind(width * height * channels);
  const step = Math.max(1, (depth * channels) >> 3);
  const mask = (1 << depth) - 1;
  let at = 0;
  for (const { left, top, along, down, columns, rows } of passes(file)) {
    const length = lineBytes(file, columns);
    let above = null;
    for (let row = 0; row < rows; row++) {
      const line = lines.subarray(at + 1, at + 1 + length);
      unfilter(lines[at], line, above, step, name);
      above = line;
      at += 1 + length;
      let to = ((top + row * down) * width + left) * channels;
      if (depth === 8 && along === 1) {
        samples.set(line, to);
        continue;
      }
      for (let column = 0; column < columns; column++, to += along * channels) {
        for (let channel = 0; channel < channels; channel++) {
          const place = column * channels + channel;
          if (depth === 16) samples[to + channel] = (line[2 * place] << 8) | line[2 * place + 1];
          else if (depth === 8) samples[to + channel] = line[place];
          else samples[to + channel] = (line[(place * depth) >> 3] >> (8 - depth - ((place * depth) & 7))) & mask;
        }
      }
    }
  }
  return samples;
}

/** Undo the filter of a line in place (PNG 1.2, 6). */
function unfilter(filter, line, above, step, name) {
  if (filter > 4) throw damaged(name, "a line has no known filter");
  if (filter === 0 || (filter === 2 && !above)) return;
  const length = line.length;
  if (filter === 1 || (filter === 4 && !above)) {
    for (let at = step; at < length; at++) line[at] += line[at - step];
  } else if (filter === 2) {
    for (let at = 0; at < length; at++) line[at] += above[at];
  } else if (filter === 3) {
    for (let at = 0; at < length; at++) line[at] += ((at < step ? 0 : line[at - step]) + (above ? above[at] : 0)) >> 1;
  } else {
    for (let at = 0; at < step; at++) line[at] += above[at];
    for (let at = step; at < length; at++) {
      const a = line[at - step];
      const b = above[at];
      const c = above[at - step];
      const [toA, toB, toC] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - c - c)];
      line[at] += toA <= toB && toA <= toC ? a : toB <= toC ? b : c;
    }
  }
}

/** A picture of at most 8 bits as RGB, or RGBA where something may be transparent. */
function ofEight({ kind, depth, palette, key }, stored) {
  if (kind === 2 && !key) return { data: stored, channels: 3 };
  if (kind === 6) return { data: stored, channels: 4 };
  const scale = 255 / ((1 << depth) - 1);
  if (kind === 3) {
    return painted(stored.length, Boolean(key), (pixel, colour) => {
      const index = stored[pixel];
      const known = 3 * index + 2 < palette.length;
      for (let channel = 0; channel < 3; channel++) colour[channel] = known ? palette[3 * index + channel] : 0;
      colour[3] = key && index < key.length ? key[index] : 255;
    });
  }
  if (kind === 4) {
    return painted(stored.length / 2, true, (pixel, colour) => {
      colour.fill(stored[2 * pixel], 0, 3);
      colour[3] = stored[2 * pixel + 1];
    });
  }
  if (kind === 2) {
    return painted(stored.length / 3, true, (pixel, colour) => {
      for (let channel = 0; channel < 3; channel++) colour[channel] = stored[3 * pixel + channel];
      colour[3] = isKey(colour, key) ? 0 : 255;
    });
  }
  // Pillow compares the key with grey that is scaled to 8 bits already, except where there is only one bit.
  const hidden = key && (depth === 1 ? 255 * Math.min(1, 256 * key[0] + key[1]) : key[1]);
  return painted(stored.length, Boolean(key), (pixel, colour) => {
    colour.fill(stored[pixel] * scale, 0, 3);
    colour[3] = colour[0] === hidden ? 0 : 255;
  });
}

/** A picture of 16 bits a channel: of grey rounded to 8, of colour the upper 8, unless fewer bits are used. */
function ofSixteen(file, stored) {
  const { kind, key, channels } = file;
  const colours = kind === 0 || kind === 4 ? 1 : 3;
  const bright = kind !== 0 && some(stored, channels, colours, (value) => value >> 8 > UPPER_BITS);
  const white = bright ? FULL : whiteOf(stored, channels, colours, file.bits);
  const notes = white === FULL ? [] : [remark(white)];
  const upper = kind !== 0 && white === FULL;
  const eight = (value) => (upper ? value >> 8 : inEight(value, white));
  const transparent = channels > colours || (key !== null && (kind === 0 || upper));
  const alphas = some(stored.subarray(colours), channels, 1, (value) => value > white) ? FULL : white;
  const hidden = kind === 0 && key ? 256 * key[0] + key[1] : null;
  const picture = painted(stored.length / channels, transparent, (pixel, colour) => {
    const from = pixel * channels;
    for (let channel = 0; channel < 3; channel++) colour[channel] = eight(stored[from + (colours === 1 ? 0 : channel)]);
    if (channels > colours) colour[3] = upper ? stored[from + colours] >> 8 : inEight(stored[from + colours], alphas);
    else if (hidden !== null) colour[3] = stored[from] === hidden ? 0 : 255;
    else if (key) colour[3] = isKey(colour, key) ? 0 : 255;
  });
  return { ...picture, notes };
}

/** Whether a colour of 8 bits is the transparent one; of 16 bits Pillow compares the key's lower ones with it. */
function isKey(colour, key) {
  return colour[0] === key[1] && colour[1] === key[3] && colour[2] === key[5];
}

function some(stored, channels, used, holds) {
  for (let from = 0; from < stored.length; from += channels) {
    for (let channel = 0; channel < used; channel++) if (holds(stored[from + channel])) return true;
  }
  return false;
}

function painted(pixels, transparent, paint) {
  const channels = transparent ? 4 : 3;
  const data = new Uint8Array(pixels * channels);
  const colour = [0, 0, 0, 255];
  for (let pixel = 0, to = 0; pixel < pixels; pixel++) {
    paint(pixel, colour);
    for (let channel = 0; channel < channels; channel++) data[to++] = colour[channel];
  }
  return { data, channels };
}
