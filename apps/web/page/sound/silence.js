/** Which windows of a sound hold something to be heard, and how much each counts in the answer.
 *
 * Windows count by the energy of their sound above a threshold. Those below have no say: silence and the noise of a
 * room are no evidence for any label. Figures and rules are those of `convmedia.data.audio.silence`.
 */

/** A window has a say whose energy is more than twice (3 dB above) the quietest one's, the noise of the room, ... */
const ABOVE_QUIETEST = 2;

/** ... of which at most half of the loudest window's energy (-3 dB) is asked, and at least a hundredth (-20 dB). */
const AT_MOST = 0.5;
export const AT_LEAST = 0.01;

/** Mean power, -100 dB of full scale, of a window that has no say whatever the others hold. */
export const LEAST_POWER = 1e-10;

/** Of full scale; what stays below it all the time and is steady is taken for the noise of a quiet room. */
const FAINT_DB = -45;

/** White, pink and brown noise and hum spread over less in frames of 25 ms. */
const STEADY_DB = 4;

const FRAME_SECONDS = 0.025;

/** What each sample counts in any case, as energy: a sound without any energy has an answer, too. */
const BY_LENGTH = 1e-3 * LEAST_POWER;

/** Energy of a sound without its mean, which nobody hears.
 *
 * @param {Float32Array} samples -1..1.
 * @returns {number}
 */
export function energy(samples) {
  return variance(samples, 0, samples.length) * samples.length;
}

/** A sound's scores from those of its windows, each counted by its energy above the threshold, in flat memory.
 *
 * What the threshold is turns out at the end, so sums are kept for each thousandth of a decibel that it may lie in.
 */
export class MeanByEnergy {
  /** @param {number} size samples of a window. */
  constructor(size) {
    this.size = size;
    this.loudest = 0;
    this.quietest = Infinity;
    this.levels = new Map();
    this.samples = 0;
    this.byLength = null;
  }

  /** Count a window in.
   *
   * @param {Float32Array} samples those that are sound, one or more.
   * @param {ArrayLike<number>} scores of the labels.
   */
  add(samples, scores) {
    this.byLength ??= new Float64Array(scores.length);
    this.samples += samples.length;
    addTo(this.byLength, scores, samples.length);
    const loudness = energy(samples);
    this.quietest = Math.min(this.quietest, (loudness / samples.length) * this.size);
    if (loudness > this.loudest) {
      this.loudest = loudness;
      const lowest = level(this.#lowest);
      for (const one of this.levels.keys()) if (one < lowest) this.levels.delete(one);
    }
    if (loudness <= this.#lowest) return;
    const nothing = () => ({ number: 0, energy: 0, scores: zeros(scores), weighted: zeros(scores) });
    const sums = this.levels.get(level(loudness)) ?? nothing();
    sums.number += 1;
    sums.energy += loudness;
    addTo(sums.scores, scores, 1);
    addTo(sums.weighted, scores, loudness);
    this.levels.set(level(loudness), sums);
  }

  /** @returns {Float64Array} the mean, after one window or more. */
  result() {
    const asked = Math.min(ABOVE_QUIETEST * this.quietest, AT_MOST * this.loudest);
    const threshold = Math.max(asked, this.#lowest);
    const total = zeros(this.byLength);
    addTo(total, this.byLength, BY_LENGTH);
    let weight = BY_LENGTH * this.samples;
    for (const sums of this.levels.values()) {
      const above = sums.energy - threshold * sums.number;
      if (above <= 0) continue;
      addTo(total, sums.weighted, 1);
      addTo(total, sums.scores, -threshold);
      weight += above;
    }
    return total.map((value) => value / weight);
  }

  get #lowest() {
    return Math.max(AT_LEAST * this.loudest, LEAST_POWER * this.size);
  }
}

/** Root mean square of the loudest 25 ms, without their mean, in dB of full scale; -200 of silence.
 *
 * @param {Float32Array} samples -1..1, one or more.
 * @param {number} rate Hz.
 * @returns {number}
 */
export function loudestDb(samples, rate) {
  return Math.max(...frames(samples, rate).map(([from, to]) => decibels(variance(samples, from, to))));
}

/** Whether a sound is as loud all the time, as noise is. Low tones, which fluctuate in noise too, count little. */
export function steady(samples, rate) {
  const steps = new Float32Array(samples.length);
  for (let at = 1; at < samples.length; at++) steps[at] = samples[at] - samples[at - 1];
  const levels = frames(steps, rate).map(([from, to]) => decibels(power(steps, from, to, 0)));
  levels.sort((one, other) => one - other);
  const place = 0.1 * (levels.length - 1);
  const below = Math.floor(place);
  const above = levels[Math.min(below + 1, levels.length - 1)];
  const tenth = levels[below] + (place - below) * (above - levels[below]);
  return levels[levels.length - 1] - tenth < STEADY_DB;
}

/** Whether something other than silence and faint, steady noise is in a sound.
 *
 * @param {Float32Array} samples -1..1, one or more.
 * @param {number} rate Hz.
 * @returns {boolean}
 */
export function audible(samples, rate) {
  const loudest = loudestDb(samples, rate);
  return loudest >= FAINT_DB || (loudest > 10 * Math.log10(LEAST_POWER) && !steady(samples, rate));
}

/** A number to the nearest whole one, halves to the even one, as Python rounds. */
export function round(value) {
  const below = Math.floor(value);
  return value - below === 0.5 ? below + (below % 2) : Math.round(value);
}

/** [from, to] of whole frames of 25 ms, at least one; what is left over at the end is left out. */
function frames(samples, rate) {
  const size = Math.min(Math.max(round(FRAME_SECONDS * rate), 1), samples.length);
  return Array.from({ length: Math.floor(samples.length / size) }, (_, place) => [place * size, (place + 1) * size]);
}

function variance(samples, from, to) {
  let sum = 0;
  for (let at = from; at < to; at++) sum += samples[at];
  return power(samples, from, to, sum / (to - from));
}

/** Mean square of what differs from a mean. */
function power(samples, from, to, mean) {
  let sum = 0;
  for (let at = from; at < to; at++) sum += (samples[at] - mean) ** 2;
  return sum / (to - from);
}

function decibels(value) {
  return 10 * Math.log10(Math.max(value, 1e-20));
}

function level(value) {
  return Math.floor(1e4 * Math.log10(value));
}

function zeros(like) {
  return new Float64Array(like.length);
}

function addTo(sums, values, times) {
  for (let place = 0; place < sums.length; place++) sums[place] += times * values[place];
}
