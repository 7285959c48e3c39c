/** Asking a model of sounds: files and microphones, window by window.
 *
 * The answer to a sound is the mean over its windows, each counted by its energy (`silence.js`), as `convmedia audio
 * predict` gives it. A sound without anything to be heard gets none.
 */

import { Refused } from "./refused.js";
import { AT_LEAST, LEAST_POWER, MeanByEnergy, audible, energy, loudestDb, round, steady } from "./silence.js";

/** Windows that are answered in one call. */
const BATCH = 24;

/** Windows of a sound that comes in blocks, each as soon as it is complete; the last ones are shorter than the others.
 *
 * `take` and `rest` give [{start, samples, listed}], start in samples, in the order of their starts.
 */
export class Cutter {
  #ahead;
  #steps;
  #buffer = new Float32Array(0);
  #origin = 0;

  /**
   * @param {number} size samples of a window.
   * @param {number} hop samples from one window of the answer to the next.
   * @param {?number} every the same for listed windows, until one reaches the end; null lists none.
   */
  constructor(size, hop, every = null) {
    this.size = size;
    this.#steps = every === null ? [hop] : [hop, every];
    this.#ahead = this.#steps.map(() => 0);
  }

  /** Windows that a further block completes.
   *
   * @param {Float32Array} block mono, at the model's rate.
   */
  take(block) {
    const joined = new Float32Array(this.#buffer.length + block.length);
    joined.set(this.#buffer);
    joined.set(block, this.#buffer.length);
    this.#buffer = joined;
    const windows = this.#ready(false);
    const passed = Math.min(Math.min(...this.#ahead) - this.#origin, this.#buffer.length);
    this.#buffer = this.#buffer.slice(passed);
    this.#origin += passed;
    return windows;
  }

  /** Windows that the sound's end completes. */
  rest() {
    return this.#ready(true);
  }

  #ready(complete) {
    const [ahead, steps, size] = [this.#ahead, this.#steps, this.size];
    const end = this.#origin + this.#buffer.length;
    const windows = [];
    for (;;) {
      const which = ahead.length > 1 && ahead[1] < ahead[0] ? 1 : 0;
      const start = ahead[which];
      if (complete ? start >= end : start + size > end) return windows;
      if (complete && start > 0 && start - steps[which] + size >= end) {
        ahead[which] = end; // the window before reaches the end
        continue;
      }
      const samples = this.#buffer.slice(start - this.#origin, start - this.#origin + size);
      windows.push({ start, samples, listed: which === 1 });
      ahead[which] += steps[which];
    }
  }
}

/** Answers sounds with a model. */
export class Listener {
  /**
   * @param {{labels: string[], input: {sample_rate: number, window_seconds: number}, hop_samples: ?number, details:
   *   {thresholds: ?number[]}}} facts the model's description; `hop_samples`, from one window of the answer to the
   *   next, is half a window where it is not told.
   * @param {function(Float32Array[]): Promise<ArrayLike<number>[]>} answer scores of windows, each by itself: 1 to
   *   `size` samples, -1..1, to a score for each label.
   */
  constructor(facts, answer) {
    this.facts = facts;
    this.answer = answer;
    this.sampleRate = facts.input.sample_rate;
    this.size = round(facts.input.window_seconds * this.sampleRate);
    this.hop = facts.hop_samples ?? Math.floor((this.size + 1) / 2);
  }

  /** Answer a whole sound.
   *
   * @param {Float32Array} samples mono, -1..1, at the model's rate, one or more.
   * @param {{every: ?number, onProgress: ?function(number)}} options seconds from one listed window's start to the
   *   next; called with the share of windows that are answered, 0..1.
   * @returns {Promise<{scores: Float32Array, windows: {start: number, end: number, scores: ?Float32Array}[]}>} scores
   *   of the labels; start and end in seconds; null where nothing is to be heard.
   * @throws {Refused} the sound is silent; `every` is shorter than a sample; the model answers no numbers.
   */
  async hear(samples, { every = null, onProgress = null } = {}) {
    const step = this.#step(every);
    const sound = new Sound(this);
    const cutter = new Cutter(this.size, this.hop, step);
    const windows = [...cutter.take(samples), ...cutter.rest()];
    for (let from = 0; from < windows.length; from += BATCH) {
      await sound.add(windows.slice(from, from + BATCH));
      onProgress?.(Math.min((from + BATCH) / windows.length, 1));
    }
    return sound.result();
  }

  /** Begin to answer a sound that comes in blocks, as a microphone's.
   *
   * @param {{every: ?number}} options as of `hear`; without it windows of the answer are told.
   * @returns {Live}
   */
  live({ every = null } = {}) {
    return new Live(this, this.#step(every ?? this.hop / this.sampleRate));
  }

  /** The best label of scores, or those above their thresholds, best first.
   *
   * @param {ArrayLike<number>} scores one for each label.
   * @returns {{label: string, score: number}[]}
   */
  named(scores) {
    const best = this.facts.labels.map((label, place) => ({ label, score: scores[place], place }));
    best.sort((one, other) => other.score - one.score || one.place - other.place);
    const thresholds = this.facts.details?.thresholds;
    const chosen = thresholds ? best.filter(({ score, place }) => score >= thresholds[place]) : best.slice(0, 1);
    return chosen.map(({ label, score }) => ({ label, score }));
  }

  #step(every) {
    const step = every === null ? null : round(every * this.sampleRate);
    if (step !== null && !(step >= 1)) throw new Refused(`${every} s between windows is shorter than a sample`);
    return step;
  }
}

/** A sound under way. */
export class Live {
  #sound;
  #cutter;
  #turn = Promise.resolve();

  constructor(listener, step) {
    this.#sound = new Sound(listener);
    this.#cutter = new Cutter(listener.size, listener.hop, step);
  }

  /** Hear a further block; blocks are taken in turn, whether or not the one before is answered.
   *
   * @param {Float32Array} block mono, -1..1, at the model's rate.
   * @returns {Promise<{windows: {start, end, scores}[], scores: ?Float32Array}>} listed windows that it completes, as
   *   of `Listener.hear`, and the answer to all that came so far; null before anything is to be heard.
   */
  feed(block) {
    return this.#next(() => this.#cutter.take(block));
  }

  /** The same at the sound's end.
   *
   * @returns {Promise<{scores: Float32Array, windows: {start, end, scores}[]}>} as of `Listener.hear`.
   * @throws {Refused} as of `Listener.hear`.
   */
  async end() {
    await this.#next(() => this.#cutter.rest());
    return this.#sound.result();
  }

  #next(cut) {
    const windows = cut();
    this.#turn = this.#turn.then(async () => {
      const told = await this.#sound.add(windows);
      return { windows: told, scores: this.#sound.audible ? Float32Array.from(this.#sound.mean.result()) : null };
    });
    return this.#turn;
  }
}

/** What the windows of a sound add up to. */
class Sound {
  constructor(listener) {
    this.listener = listener;
    this.mean = new MeanByEnergy(listener.size);
    this.audible = false;
    this.loudest = 0;
    this.loudestDb = -200;
    this.listed = [];
  }

  /** Answer windows and count them in; gives listed ones as rows. */
  async add(windows) {
    if (!windows.length) return [];
    // One window of the answer and one that is listed are often the same.
    const unlike = windows.filter((window, place) => place === 0 || window.start !== windows[place - 1].start);
    const answers = new Map();
    const found = await this.listener.answer(unlike.map((window) => window.samples));
    unlike.forEach((window, place) => answers.set(window.start, found[place]));
    return windows.flatMap((window) => this.#count(window, answers.get(window.start)));
  }

  /** @throws {Refused} nothing is to be heard. */
  result() {
    if (!this.mean.samples) throw new Refused("holds no samples; record it again");
    if (!this.audible) throw new Refused(this.#silent());
    // Only now it is known how loud the loudest window is.
    const windows = this.listed.map(({ faint, ...row }) => (this.#quiet(faint) ? { ...row, scores: null } : row));
    return { scores: Float32Array.from(this.mean.result()), windows };
  }

  #count({ start, samples, listed }, scores) {
    const rate = this.listener.sampleRate;
    if (!Array.from(scores).every(Number.isFinite)) {
      throw new Refused("is answered with NaN or infinity by the model; use another model");
    }
    const loudness = energy(samples);
    this.loudest = Math.max(this.loudest, loudness);
    if (!listed) {
      this.loudestDb = Math.max(this.loudestDb, loudestDb(samples, rate));
      this.audible ||= audible(samples, rate);
      this.mean.add(samples, scores);
      return [];
    }
    const faint = steady(samples, rate) ? loudness : Infinity;
    const told = audible(samples, rate) && !this.#quiet(faint);
    const row = { start: start / rate, end: (start + samples.length) / rate };
    this.listed.push({ ...row, scores: told ? Float32Array.from(scores) : null, faint });
    return [{ ...row, scores: told ? Float32Array.from(scores) : null }];
  }

  /** Whether a window, by its energy where it is as loud all the time, is noise beside what was heard elsewhere. */
  #quiet(faint) {
    return faint <= AT_LEAST * this.loudest;
  }

  #silent() {
    const level = `its loudest 25 ms are at ${Math.round(this.loudestDb)} dB of full scale, the rest is hardly quieter`;
    const found = this.loudestDb > 10 * Math.log10(LEAST_POWER) ? level : "all its samples are as good as 0";
    return `is silent (${found}); record it at a higher level`;
  }
}
