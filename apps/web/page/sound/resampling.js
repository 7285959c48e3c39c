/** Sample rates converted by a windowed sinc, as soxr's quality "HQ" does: flat to 0.91 of what the lower rate can
 * hold, -6 dB at 0.957, and 120 dB down from 1 on; no delay.
 */

/** Of half of the lower rate: where the filter is at -6 dB. */
const CUTOFF = 0.956872;

/** Kaiser's window as soxr 0.1.3 has it, found from its answers to impulses: its shape, and ... */
const BETA = 13.711;

/** ... half of its length, in samples at the lower rate, by whether the rates are in a ratio of small numbers, and
 * whether the step is small: soxr takes others in several filters. */
const REACH = { simple: { small: 99.5, large: 102 }, other: { small: 101.7, large: 104.2 } };

/** More coefficients than this are not kept: those between are interpolated. */
const MOST_COEFFICIENTS = 2 ** 22;
const PHASES = 1024;

/** Samples by which the short filter of a large step reaches over the ends. */
const MARGIN = 16;

/** Samples at another rate.
 *
 * @param {Float32Array} samples mono.
 * @param {number} from Hz, whole.
 * @param {number} to Hz, whole.
 * @returns {Float32Array} round(n * to / from) samples, at least one where one is given; the same array where the rates
 *   are equal.
 */
export function resample(samples, from, to) {
  if (from === to || !samples.length) return samples;
  const length = Math.floor((samples.length * to) / from + 0.5);
  if (!length) return samples.slice(0, 1); // three samples at 192 kHz are less than one at 8 kHz
  const [up, down] = ratio(from, to);
  const kind = REACH[Math.max(up, down) < 16 ? "simple" : "other"];
  const reach = kind[Math.max(up, down) < 4 * Math.min(up, down) ? "small" : "large"];
  const lower = Math.min(from, to) / from;
  // Large steps down are taken in two, of which the first filter is short, as it touches nothing that stays.
  const step = Math.floor(from / to / 2);
  if (step <= 1) return filtered(samples, 0, up, down, length, CUTOFF * lower, reach / lower);
  const spread = new Float32Array(samples.length + 2 * MARGIN * step);
  spread.set(samples, MARGIN * step);
  const number = Math.ceil(spread.length / step);
  const short = (REACH.simple.small * (1 - CUTOFF)) / (1 / step - lower);
  const fewer = filtered(spread, 0, 1, step, number, 1 / step, short);
  return filtered(fewer, MARGIN, ...ratio(from, to * step), length, CUTOFF * lower * step, reach / lower / step);
}

/** The same for a sound that comes in blocks: what `take` and `rest` give adds up to what `resample` gives of all. */
export class Converter {
  #buffer = new Float32Array(0);
  #origin = 0; // of the buffer, in samples that came; a multiple of #unit, where samples of both rates meet
  #given = 0;
  #unit;
  #margin;

  /**
   * @param {number} from Hz, whole.
   * @param {number} to Hz, whole.
   */
  constructor(from, to) {
    this.from = from;
    this.to = to;
    const step = Math.max(Math.floor(from / to / 2), 1);
    this.#unit = ratio(from, to)[1] * step;
    this.#margin = Math.ceil(110 * Math.max(from / to, 1)) + MARGIN * step;
  }

  /** Samples that a further block settles.
   *
   * @param {Float32Array} block mono.
   * @returns {Float32Array}
   */
  take(block) {
    if (this.from === this.to) return block;
    const joined = new Float32Array(this.#buffer.length + block.length);
    joined.set(this.#buffer);
    joined.set(block, this.#buffer.length);
    this.#buffer = joined;
    const settled = this.#origin + joined.length - this.#margin;
    return this.#until(Math.floor((Math.max(settled, 0) * this.to) / this.from));
  }

  /** What is left at the end.
   *
   * @returns {Float32Array}
   */
  rest() {
    if (this.from === this.to || !this.#buffer.length) return new Float32Array(0);
    const all = this.#origin + this.#buffer.length;
    return this.#until(Math.max(Math.floor((all * this.to) / this.from + 0.5), 1));
  }

  #until(end) {
    if (end <= this.#given) return new Float32Array(0);
    const before = Math.round((this.#origin * this.to) / this.from);
    const found = resample(this.#buffer, this.from, this.to).slice(this.#given - before, end - before);
    this.#given = end;
    const needed = Math.floor((end * this.from) / this.to) - this.#margin;
    const passed = Math.max(Math.floor(needed / this.#unit) * this.#unit - this.#origin, 0);
    this.#buffer = this.#buffer.slice(passed);
    this.#origin += passed;
    return found;
  }
}

/** [up, down], the smallest whole numbers with up / down = to / from. */
function ratio(from, to) {
  let [one, other] = [from, to];
  while (other) [one, other] = [other, one % other];
  return [to / one, from / one];
}

/** `length` samples of a sound through a low-pass filter, the first at `start`, each `down / up` after the one before.
 *
 * @param {number} cutoff where the filter is at -6 dB, of half the sample rate; `reach`: half of its length, samples.
 */
function filtered(samples, start, up, down, length, cutoff, reach) {
  const half = Math.ceil(reach);
  const taps = 2 * half;
  const few = up * taps <= MOST_COEFFICIENTS;
  const phases = few ? up : PHASES;
  const bank = coefficients(phases, reach, cutoff);
  const padded = new Float32Array(samples.length + 2 * taps + Math.ceil(down / up));
  padded.set(samples, half - 1);
  const out = new Float32Array(length);
  for (let at = 0, whole = start, part = 0; at < length; at++) {
    if (few) {
      out[at] = dot(padded, whole, bank, part * taps, taps);
    } else {
      const place = (part / up) * phases;
      const before = Math.floor(place);
      const share = place - before;
      const value = dot(padded, whole, bank, before * taps, taps);
      out[at] = value + share * (dot(padded, whole, bank, (before + 1) * taps, taps) - value);
    }
    part += down;
    while (part >= up) {
      part -= up;
      whole += 1;
    }
  }
  return out;
}

/** The filter at `phases` + 1 places between two samples, as many coefficients each as it is long, in a row. */
function coefficients(phases, reach, cutoff) {
  const key = [phases, reach, cutoff].join();
  if (!kept.has(key)) {
    if (kept.size >= MOST_KEPT) kept.delete(kept.keys().next().value);
    kept.set(key, computed(phases, reach, cutoff));
  }
  return kept.get(key);
}

/** Filters of the last calls: a microphone's blocks all take the same ones. */
const kept = new Map();
const MOST_KEPT = 4;

function computed(phases, reach, cutoff) {
  const half = Math.ceil(reach);
  const taps = 2 * half;
  const middle = bessel(BETA);
  const bank = new Float32Array((phases + 1) * taps);
  for (let phase = 0; phase <= phases; phase++) {
    for (let tap = 0; tap < taps; tap++) {
      const x = tap - (half - 1) - phase / phases;
      const edge = 1 - (x / reach) ** 2;
      const window = edge >= 0 ? bessel(BETA * Math.sqrt(edge)) / middle : 0;
      const angle = Math.PI * cutoff * x;
      bank[phase * taps + tap] = window * cutoff * (angle ? Math.sin(angle) / angle : 1);
    }
  }
  return bank;
}

/** The modified Bessel function of order 0. */
function bessel(x) {
  let [sum, term] = [1, 1];
  for (let k = 1; term > 1e-17 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function dot(samples, at, bank, from, number) {
  let [a, b, c, d] = [0, 0, 0, 0];
  let tap = 0;
  for (; tap + 3 < number; tap += 4) {
    a += samples[at + tap] * bank[from + tap];
    b += samples[at + tap + 1] * bank[from + tap + 1];
    c += samples[at + tap + 2] * bank[from + tap + 2];
    d += samples[at + tap + 3] * bank[from + tap + 3];
  }
  for (; tap < number; tap++) a += samples[at + tap] * bank[from + tap];
  return a + b + c + d;
}
