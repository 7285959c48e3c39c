/** WAV files (RIFF, RIFX, RF64) as libsndfile reads them: the same float32 samples, bit for bit.
 *
 * Browsers decode WAV, too, but scale by 32,767 where a sample is positive, and resample without a word.
 */

import { Refused } from "./refused.js";

export const PCM = 1;
export const FLOAT = 3;
export const A_LAW = 6;
export const MU_LAW = 7;
const EXTENSIBLE = 0xfffe;
const GUID = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]; // after the two bytes of the format
const MOST_64 = 2 ** 63 - 1;
const MOST_CHANNELS = 1024;
const NO_FORM = "it does not say what its samples are";

/** Whether bytes begin as a WAV file does.
 *
 * @param {DataView} view of the whole file.
 */
export function isWav(view) {
  return view.byteLength >= 12 && ["RIFF", "RIFX", "RF64"].includes(name(view, 0)) && name(view, 8) === "WAVE";
}

/** What a WAV file holds.
 *
 * @param {DataView} view of the whole file, of which `isWav` holds.
 * @returns {{rate: number, channels: Float32Array[], bits: ?number[], complete: boolean}} Hz as the header says;
 *   samples of each channel, -1..1 (floats as they are); used and stored bits of a sample where fewer are used than
 *   stored, else null; whether as much is there as the header says.
 * @throws {Refused} no form, or one that is not read.
 */
export function parse(view) {
  const found = layout(view);
  if (!found.form) throw new Refused(`is no sound file (${NO_FORM}); give WAV, FLAC, Ogg or MP3`);
  return decoded(view, found);
}

/** Samples of a file of which is known where they are.
 *
 * @param {DataView} view of the whole file.
 * @param {{form: {tag: number, channels: number, rate: number, bits: number, used: number, stored: number, signed:
 *   boolean}, start: number, length: number, little: boolean, complete: boolean}} found the form as a WAV file has it,
 *   `signed` of samples of 8 bits; place and length of the samples, bytes.
 * @returns as of `parse`.
 * @throws {Refused} a form that is not read.
 */
export function decoded(view, { form: told, start, length, little, complete }) {
  const { tag, channels, rate, bits, used, stored } = told;
  const bytes = Math.ceil(bits / 8); // libsndfile goes by this, not by the size of a frame
  const read = reader(tag, bytes, told.signed);
  if (channels < 1 || channels > MOST_CHANNELS || !read) {
    const form = `format ${tag}, ${bits} bits, ${channels} channels`;
    throw new Refused(`is PCM of a kind that is not read (${form}); save it as WAV with 16 bits`);
  }
  const frames = Math.floor(length / (bytes * channels));
  const samples = Array.from({ length: channels }, () => new Float32Array(frames));
  for (let frame = 0, at = start; frame < frames; frame++) {
    for (let channel = 0; channel < channels; channel++, at += bytes) {
      samples[channel][frame] = read(view, at, little);
    }
  }
  const partly = tag === PCM && used > 0 && used < stored && stored <= 32;
  return { rate, channels: samples, bits: partly ? [used, stored] : null, complete };
}

/** Gives (view, at, little endian) to a sample of float32, or undefined for a coding that is not read. */
function reader(tag, bytes, signed) {
  if (tag === PCM) {
    return [
      undefined,
      (view, at) => (signed ? view.getInt8(at) : view.getUint8(at) - 128) / 2 ** 7,
      (view, at, little) => view.getInt16(at, little) / 2 ** 15,
      (view, at, little) => {
        const [low, high] = little ? [at, at + 1] : [at + 2, at];
        return (view.getInt16(high, little) * 2 ** 8 + view.getUint8(low)) / 2 ** 23;
      },
      (view, at, little) => view.getInt32(at, little) / 2 ** 31,
    ][bytes];
  }
  if (tag === FLOAT) {
    return {
      4: (view, at, little) => view.getFloat32(at, little),
      8: (view, at, little) => view.getFloat64(at, little),
    }[bytes];
  }
  const laws = { [A_LAW]: (view, at) => aLaw(view.getUint8(at)), [MU_LAW]: (view, at) => muLaw(view.getUint8(at)) };
  return bytes === 1 ? laws[tag] : undefined;
}

/** A byte of mu-law (ITU-T G.711, table 2), -1..1. */
function muLaw(code) {
  const value = ~code & 0xff;
  const size = ((((value & 0x0f) << 3) + 0x84) << ((value & 0x70) >> 4)) - 0x84;
  return (value & 0x80 ? -size : size) / 2 ** 15;
}

/** A byte of A-law (ITU-T G.711, table 1), -1..1. */
function aLaw(code) {
  const value = code ^ 0x55;
  const exponent = (value & 0x70) >> 4;
  const small = ((value & 0x0f) << 4) + 8;
  const size = exponent ? (small + 0x100) << (exponent - 1) : small;
  return (value & 0x80 ? size : -size) / 2 ** 15;
}

/** Where samples are: {form, start, length: bytes that are there, complete, little}. */
function layout(view) {
  const kind = name(view, 0);
  const little = kind !== "RIFX";
  const size = view.byteLength;
  const found = { form: null, start: size, length: 0, complete: true, little };
  let wide = null;
  for (const chunk of chunks(view, 12, little)) {
    const left = size - chunk.start;
    if (chunk.name === "ds64" && chunk.length >= 16 && left >= 16) {
      wide = Number(view.getBigUint64(chunk.start + 8, true));
    } else if (chunk.name === "fmt ") {
      found.form = form(view, chunk, little);
    } else if (chunk.name === "data") {
      found.start = chunk.start;
      let told = chunk.length;
      if (wide !== null && told === 0xffffffff) {
        told = (wide === 0 && left > 0) || wide > MOST_64 ? left : wide;
      } else if (told === 0 && left > 0 && !areChunks(view, chunk.start, little)) {
        told = left; // what writes to a pipe leaves a length of 0 behind
      }
      found.complete = told <= left || unknown(told);
      found.length = Math.min(told, left);
      break;
    }
  }
  return found;
}

/** A fmt chunk: {tag, channels, rate, bits, used and stored bits of a sample}, null where it says nothing known. */
function form(view, { start, length }, little) {
  const there = Math.min(length, view.byteLength - start);
  if (there < 16) return null;
  const field = (at) => view.getUint16(start + at, little);
  const [channels, bits] = [field(2), field(14)];
  const extended = field(0) === EXTENSIBLE && there >= 40;
  if (extended && GUID.some((byte, place) => view.getUint8(start + 26 + place) !== byte)) return null;
  return {
    tag: extended ? field(24) : field(0),
    channels,
    rate: view.getUint32(start + 4, little),
    bits,
    used: (extended && field(18)) || bits,
    stored: Math.floor((8 * field(12)) / Math.max(channels, 1)),
    signed: false,
  };
}

/** Whether a length is what programs write that do not know it: sox 0x7FFFF000, arecord 0x80000000, FFmpeg 0xFFFFFFFF
 * and 2^63 - 1, all of them less what a header or whole samples take. */
export function unknown(length) {
  return (
    (length >= 0x7fff0000 && length <= 0x8000ffff) ||
    (length >= 0xffff0000 && length <= 0xffffffff) ||
    length >= MOST_64 - 0xffff
  );
}

/** Chunks {name, start, length} of a file of this kind from a place on. */
export function* chunks(view, at, little) {
  while (at + 8 <= view.byteLength) {
    const length = view.getUint32(at + 4, little);
    yield { name: name(view, at), start: at + 8, length };
    at += 8 + length + (length % 2);
  }
}

/** Whether everything from `start` on is chunks, the last of which ends where the file does: no samples. */
function areChunks(view, start, little) {
  let end = start;
  for (const chunk of chunks(view, start, little)) {
    if (!/^[ -~]{4}$/.test(chunk.name) || chunk.start + chunk.length > view.byteLength) return false;
    end = chunk.start + chunk.length + (chunk.length % 2);
  }
  return view.byteLength <= end && end <= view.byteLength + 1;
}

/** Four bytes as text. */
export function name(view, at) {
  return String.fromCharCode(...[0, 1, 2, 3].map((place) => view.getUint8(at + place)));
}
