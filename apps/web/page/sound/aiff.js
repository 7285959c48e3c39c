/** AIFF, AIFC and AU files, which Chromium and Firefox do not decode: the same float32 samples as of libsndfile. */

import { Refused } from "./refused.js";
import { A_LAW, FLOAT, MU_LAW, PCM, chunks, decoded, name, unknown } from "./wav.js";

/** AIFC's compression: [format, bits (0: as told), little endian]. */
const COMPRESSIONS = {
  NONE: [PCM, 0, false],
  twos: [PCM, 0, false],
  sowt: [PCM, 0, true],
  fl32: [FLOAT, 32, false],
  FL32: [FLOAT, 32, false],
  fl64: [FLOAT, 64, false],
  FL64: [FLOAT, 64, false],
  alaw: [A_LAW, 8, false],
  ALAW: [A_LAW, 8, false],
  ulaw: [MU_LAW, 8, false],
  ULAW: [MU_LAW, 8, false],
};

/** AU's encoding: [format, bits]. */
const ENCODINGS = {
  1: [MU_LAW, 8],
  2: [PCM, 8],
  3: [PCM, 16],
  4: [PCM, 24],
  5: [PCM, 32],
  6: [FLOAT, 32],
  7: [FLOAT, 64],
  27: [A_LAW, 8],
};

/** What an AIFF or AU file holds; null where bytes are of neither.
 *
 * @param {DataView} view of the whole file.
 * @returns {?{rate: number, channels: Float32Array[], bits: null, complete: boolean}} as of `wav.parse`.
 * @throws {Refused} a form that is not read.
 */
export function parse(view) {
  if (view.byteLength < 24) return null;
  const layout = { FORM: aiff, ".snd": au }[name(view, 0)]?.(view);
  if (!layout) return null;
  const [tag, bits] = layout.coding ?? [];
  if (!tag) throw new Refused("is coded in a way that is not read; save it as WAV with 16 bits");
  const form = { ...layout, tag, bits, used: bits, stored: bits, signed: true };
  return { ...decoded(view, { ...layout, form }), bits: null };
}

function aiff(view) {
  if (!["AIFF", "AIFC"].includes(name(view, 8))) return null;
  const size = view.byteLength;
  const found = { start: size, length: 0, complete: true, little: false };
  for (const { name: kind, start, length } of chunks(view, 12, false)) {
    if (kind === "COMM" && length >= 18 && start + 18 <= size) {
      const told = length >= 22 && start + 22 <= size ? name(view, start + 18) : "NONE";
      const [tag, bits, little] = COMPRESSIONS[told] ?? [];
      found.coding = [tag, bits || view.getUint16(start + 6)];
      found.little = Boolean(little);
      found.channels = view.getUint16(start);
      found.rate = extended(view, start + 8);
    } else if (kind === "SSND" && start + 8 <= size) {
      found.start = start + 8 + view.getUint32(start);
      found.length = Math.max(Math.min(start + length, size) - found.start, 0);
      found.complete = start + length <= size || unknown(length);
    }
  }
  return found;
}

function au(view) {
  const [start, told, encoding, rate, channels] = [4, 8, 12, 16, 20].map((at) => view.getUint32(at));
  const left = Math.max(view.byteLength - start, 0);
  return {
    coding: ENCODINGS[encoding],
    rate,
    channels,
    start,
    length: Math.min(unknown(told) ? left : told, left),
    complete: told <= left || unknown(told),
    little: false,
  };
}

/** A number of 80 bits (IEEE 754 extended), as AIFF has the rate. */
function extended(view, at) {
  const exponent = (view.getUint16(at) & 0x7fff) - 16_383;
  return Math.round(view.getUint32(at + 2) * 2 ** (exponent - 31) + view.getUint32(at + 6) * 2 ** (exponent - 63));
}
