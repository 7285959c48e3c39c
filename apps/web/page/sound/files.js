/** Sound files: any rate and number of channels in, mono at the rate that a model takes out.
 *
 * The same samples as `convmedia audio predict` reads: WAV, AIFF and AU bit for bit; what is compressed is decoded by
 * the browser at the file's own rate, so that all resampling is ours.
 */

import { parse as parseAiff } from "./aiff.js";
import { mixed, opposed, signs } from "./channels.js";
import { header, intact, openEnded } from "./headers.js";
import { Refused } from "./refused.js";
import { resample } from "./resampling.js";
import { isWav, parse } from "./wav.js";

export { Refused } from "./refused.js";

/** Hz; a header that says less or more is taken for damaged. */
const LOWEST_RATE = 1_000;
const HIGHEST_RATE = 1_000_000;

/** Read a whole sound.
 *
 * @param {Blob} blob a file: WAV, AIFF, AU, FLAC, Ogg, MP3, and what else this browser decodes (M4A, AAC, WebM).
 * @param {number} sampleRate Hz, of what comes out.
 * @returns {Promise<{samples: Float32Array, rate: number, seconds: number, remarks: string[]}>} mono at `sampleRate`,
 *   -1..1, at least one sample; the file's own rate, Hz; its length; what is unusual about it, without the file's name.
 * @throws {Refused} empty, no sound, without samples, cut, damaged, or with values that are no numbers; the message
 *   follows the file's name: "is empty (0 bytes); replace it".
 */
export async function read(blob, sampleRate) {
  if (blob.size === 0) throw new Refused("is empty (0 bytes); replace it");
  let buffer;
  try {
    buffer = await blob.arrayBuffer();
  } catch {
    throw new Refused("cannot be read; choose it again");
  }
  const view = new DataView(buffer);
  const found = isWav(view) ? parse(view) : (parseAiff(view) ?? (await decode(buffer)));
  const { channels, rate } = found;
  if (!channels.length || !channels[0].length) throw new Refused("holds no samples, only a header; replace it");
  if (!(rate >= LOWEST_RATE && rate <= HIGHEST_RATE)) {
    const allowed = `${thousands(LOWEST_RATE)} to ${thousands(HIGHEST_RATE)} Hz are read`;
    throw new Refused(`says that its sample rate is ${thousands(rate)} Hz; ${allowed}: replace it`);
  }
  if (!found.complete) throw new Refused("is cut: it ends before its header says; replace it with a full copy");
  if (channels.some((samples) => !samples.every(Number.isFinite))) {
    throw new Refused("holds values that are no numbers (NaN or infinity); replace it");
  }
  const { mono, remarks } = toMono(found);
  const seconds = mono.length / (found.decoded ?? rate);
  return { samples: resample(mono, found.decoded ?? rate, sampleRate), rate, seconds, remarks };
}

/** {mono, remarks} of {channels, rate, bits}. */
function toMono({ channels, rate, bits }) {
  const turned = signs(channels, rate);
  const mono = mixed(channels, turned);
  const remarks = [];
  if (bits && inLowBits(channels, bits)) {
    // By the definition of WAV the used bits are the highest ones; some programs fill the lowest.
    const gain = 2 ** (bits[1] - bits[0]);
    for (let at = 0; at < mono.length; at++) mono[at] *= gain;
    remarks.push(`its samples lie in the low ${bits[0]} of ${bits[1]} bits; they are multiplied by ${gain}`);
  }
  const said = opposed(turned);
  return { mono, remarks: said ? [...remarks, said] : remarks };
}

/** Whether samples are small enough for their low bits, and use them. */
function inLowBits(channels, [used, stored]) {
  const most = 2 ** (used - stored);
  let low = false;
  for (const samples of channels) {
    for (const value of samples) {
      if (Math.abs(value) > most) return false;
      low ||= Math.abs(value) < most && !Number.isInteger(value * 2 ** (used - 1));
    }
  }
  return low;
}

/** A compressed sound: {channels, rate of the file, decoded: rate of the samples, complete}, by the browser. */
async function decode(buffer) {
  const bytes = new Uint8Array(buffer);
  const told = header(bytes);
  if (told.format === "FLAC" && !intact(bytes)) {
    throw new Refused("is damaged or cut (the check sums of its blocks do not hold); replace it with a full copy");
  }
  const opened = told.vorbis && told.complete ? openEnded(bytes) : { bytes: bytes.slice(), samples: Infinity };
  let sound;
  try {
    sound = await contextAt(told.decode).decodeAudioData(opened.bytes.buffer);
  } catch {
    const damaged = `its ${told.format} content is damaged, or not known to this browser`;
    const reason = told.format ? damaged : "Format not recognised";
    throw new Refused(`is no sound file (${reason}); give WAV, FLAC, Ogg or MP3`);
  }
  const length = Math.min(sound.length, opened.samples);
  const channels = Array.from({ length: sound.numberOfChannels }, (_, channel) =>
    sound.getChannelData(channel).subarray(0, length),
  );
  if (told.bits && told.bits <= 16) channels.forEach((samples) => symmetric(samples, 2 ** 15));
  const complete = told.complete && !(told.samples && sound.length < told.samples);
  return { channels, rate: told.rate || sound.sampleRate, decoded: sound.sampleRate, complete, bits: null };
}

/** A place to decode at a rate, Hz, or at 48 kHz where this browser knows none at that rate. */
function contextAt(rate) {
  try {
    return new OfflineAudioContext(1, 1, rate);
  } catch {
    return new OfflineAudioContext(1, 1, 48_000);
  }
}

/** Undoes, in place, what Chromium does to whole numbers: positive ones are divided by one less than negative ones. */
function symmetric(samples, full) {
  const away = (value) => Math.abs(value - Math.round(value));
  const rest = (scale) => samples.reduce((sum, value) => sum + (value > 0 ? away(value * scale) : 0), 0);
  if (rest(full - 1) >= rest(full)) return;
  for (let at = 0; at < samples.length; at++) {
    if (samples[at] > 0) samples[at] = Math.round(samples[at] * (full - 1)) / full;
  }
}

function thousands(number) {
  return number.toLocaleString("en-US");
}
