// Sounds as examples: Float32Array, mono, -1..1, at the network's rate. What is learned from are their windows.
import { element } from "../elements.js";
import { nameOf } from "../sources.js";
import { read } from "../sound/files.js";
import { Cutter, Listener } from "../sound/listening.js";
import { joined, start } from "../sound/recorder.js";
import { resample } from "../sound/resampling.js";
import { AT_LEAST, audible, energy } from "../sound/silence.js";
import { heardNow, presented, recording } from "../sounds_page.js";
import { show } from "../views.js";

const LEAST_SECONDS = 0.1; // of a recording; a touch of the button is none
const BARS = 24; // of a small picture

export class Sounds {
  /** @param {object} network as `Network`. */
  constructor(network) {
    this.network = network;
    this.rate = network.facts.input.sample_rate;
    this.app = "audio";
    this.words = {
      single: "sound",
      many: "sounds",
      counted: `windows of ${network.facts.input.window_seconds} s`,
      drop: "Drop sounds here.",
    };
    this.details = {};
  }

  /** As of `Pictures`. */
  async read(blob) {
    try {
      const { samples } = await read(blob, this.rate);
      return samples;
    } catch (error) {
      throw new Error(`${nameOf(blob)} ${error.message}`, { cause: error });
    }
  }

  /** As of `Pictures`. */
  content(samples) {
    return samples;
  }

  /** As of `Pictures`: a row for each window in which something is to be heard. */
  async rows(samples) {
    const { size, hop } = this.#listener(() => []);
    const cutter = new Cutter(size, hop);
    const windows = [...cutter.take(samples), ...cutter.rest()].map((window) => window.samples);
    const loudest = Math.max(...windows.map(energy));
    const heard = windows.filter((window) => audible(window, this.rate) && energy(window) > AT_LEAST * loudest);
    if (!heard.length) throw new Error("nothing is to be heard: record it at a higher level");
    const rows = [];
    for (const window of heard) rows.push(await this.network.features(this.tensor(window)));
    return rows;
  }

  /** As of `Pictures`; `windows` as of `Listener.hear`. */
  async answer(samples, of) {
    const listener = this.#listener(of);
    return listener.hear(samples, { every: listener.hop / this.rate });
  }

  #listener(of) {
    const facts = { labels: [], details: {}, ...this.network.facts };
    return new Listener(facts, async (windows) => {
      const scores = [];
      for (const window of windows) scores.push(of(await this.network.features(this.tensor(window))));
      return scores;
    });
  }

  /** As the file takes it: float32 (1, samples), a copy. */
  tensor(samples) {
    return { type: "float32", data: Float32Array.from(samples), dims: [1, samples.length] };
  }

  /** As of `Pictures`: how loud it is along the time. */
  small(samples) {
    const canvas = element("canvas", { width: 72, height: 72 });
    const context = canvas.getContext("2d");
    context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--accent") || "#06c";
    const levels = Array.from({ length: BARS }, (_, place) => {
      const [from, to] = [place, place + 1].map((part) => Math.floor((part * samples.length) / BARS));
      let most = 0;
      for (let at = from; at < to; at++) most = Math.max(most, Math.abs(samples[at]));
      return most;
    });
    const loudest = Math.max(...levels, 1e-6);
    levels.forEach((level, place) => {
      const height = Math.max(2, (60 * level) / loudest);
      context.fillRect(place * 3, 36 - height / 2, 2, height);
    });
    return canvas;
  }

  /** As of `Pictures`. */
  present(samples, said, top, words) {
    presented(samples, this.rate, said, top, [], words);
  }

  /** As of `Pictures`: the microphone. A press that is no hold takes one window. */
  source(name, given) {
    const view = element("meter", { min: 0, max: 1, value: 0, "aria-label": `Level of the microphone for ${name}` });
    let [recorder, held, timer] = [null, null, null];
    const done = () => {
      const blocks = held ?? [];
      held = null;
      clearTimeout(timer);
      const from = Math.round(recorder?.rate ?? 0);
      const samples = joined(blocks);
      if (samples.length >= LEAST_SECONDS * from && from) given(resample(samples, from, this.rate));
    };
    const onBlock = (block) => {
      view.value = Math.min(1, 2 * block.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
      held?.push(block.slice());
    };
    return {
      device: "Microphone",
      hold: "Hold to record",
      view,
      async open() {
        recorder = await start({ onBlock, keep: false });
      },
      close() {
        held = null;
        recorder?.stop();
        recorder = null;
      },
      begin() {
        held = [];
      },
      end: done,
      once: () => {
        held = [];
        timer = setTimeout(done, 1000 * this.network.facts.input.window_seconds);
      },
    };
  }

  /** As of `Pictures`: a recording, and what is heard now. @param {(features) => Float64Array} of scores of a row. */
  live(answer, of) {
    recording(async (samples) => {
      try {
        await answer(samples, "recording");
      } catch (error) {
        show(`The recording ${error.message}`, [], true);
      }
    }, this.rate);
    heardNow(
      this.#listener((row) => of(row)),
      (samples, scores) => answer(samples, "What is heard now", scores),
      this.rate,
    );
  }
}
