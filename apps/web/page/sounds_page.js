// Sounds: from files and the microphone to answers, window by window.
import { Cancelled } from "./asker.js";
import { at, bars, element, figure } from "./elements.js";
import { nameOf } from "./sources.js";
import { read } from "./sound/files.js";
import { Listener } from "./sound/listening.js";
import { joined, play, start } from "./sound/recorder.js";
import { resample } from "./sound/resampling.js";
import { audible } from "./sound/silence.js";
import { describe, draw } from "./sound/spectrogram.js";
import { show } from "./views.js";

const SHOWN_SCORES = 5;
const LIVE_SECONDS = 0.5; // from one live answer to the next

/** @param {object} model as `Model`. @param {object} results as `Results`. @returns as of pictures_page.js. */
export function pageOf(model, results) {
  const { facts, kind } = model;
  const rate = facts.input.sample_rate;
  const listener = new Listener(facts, async (windows) => {
    const scores = [];
    for (const window of windows) scores.push((await model.answer(window, [1, window.length])).values);
    return scores;
  });

  /** Hear samples at the model's rate, and show and list the answer. */
  const heard = async (samples, name, { notes = [], onProgress = null, words = "" } = {}) => {
    const began = performance.now();
    const { scores, windows } = await listener.hear(samples, { every: listener.hop / rate, onProgress });
    const row = kind.row(scores, facts);
    const seconds = samples.length / rate;
    present(
      samples,
      row,
      windows,
      `${seconds.toFixed(2)} s, answered in ${Math.round(performance.now() - began)} ms${words}`,
    );
    results.add({ file: name, ...row, ...(notes.length ? { notes } : {}) });
  };

  const present = (samples, row, windows, words) => {
    const named = windows.map(({ start: from, end, scores }) => ({
      start: from,
      end,
      label: scores ? (listener.named(scores)[0]?.label ?? null) : null,
    }));
    presented(samples, rate, kind.said(row), row.top, named, words);
  };

  const one = async (file, told) => {
    const name = nameOf(file);
    try {
      const sound = await read(file, rate);
      const words = sound.rate === rate ? "" : `; recorded at ${sound.rate.toLocaleString("en")} Hz`;
      await heard(sound.samples, name, { notes: sound.remarks, onProgress: told, words });
    } catch (error) {
      if (error instanceof Cancelled) throw error;
      show(`${name} ${error.message}`, [], true);
      results.add({ file: name, error: `${name} ${error.message}` });
    }
  };

  return {
    async raw(blob) {
      const { samples } = await read(blob, rate);
      return { data: samples, dims: [1, samples.length] };
    },
    one,
    start() {
      recording(async (samples) => {
        try {
          await heard(samples, `recording ${results.rows.length + 1}`);
        } catch (error) {
          show(`The recording ${error.message}`, [], true);
        }
      }, rate);
      heardNow(
        listener,
        (samples, scores) => {
          const row = kind.row(scores, facts);
          present(samples, row, [], "What is heard now");
        },
        rate,
      );
    },
  };
}

/**
 * Show an answer to a sound: what it says, the spectrogram with its windows, and the scores.
 * @param {Float32Array} samples @param {number} rate Hz. @param {string} said
 * @param {{label: string, score: number}[]} top @param {{start: number, end: number, label: ?string}[]} windows
 * @param {string} words below the spectrogram.
 */
export function presented(samples, rate, said, top, windows, words) {
  const canvas = element("canvas", { class: "wide", role: "img", "aria-label": describe(samples, rate, { windows }) });
  const again = element("button", { type: "button", text: "Play", click: () => play(samples, rate) });
  show(said, [
    element("div", { class: "wide" }, [figure(canvas, words), element("div", { class: "buttons" }, [again])]),
    element("div", {}, [bars(top.slice(0, SHOWN_SCORES))]),
  ]);
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  draw(canvas, samples, rate, { windows, dark });
}

/**
 * The button "record" records until it is pressed again.
 * @param {(samples: Float32Array) => Promise<void>} done @param {number} rate Hz, that they are brought to.
 */
export function recording(done, rate) {
  toggle(
    "record",
    "Stop and answer",
    () => start(),
    async (recorder) => {
      const samples = await recorder.stop();
      await done(resample(samples, Math.round(recorder.rate), rate));
    },
  );
}

/**
 * The button "live" answers the newest window of what the microphone hears, again and again.
 * @param {object} listener as `Listener`. @param {(samples: Float32Array, scores: ArrayLike<number>) => void} told
 * @param {number} rate Hz.
 */
export function heardNow(listener, told, rate) {
  let kept = [];
  let busy = false;
  let since = 0;
  const block = async (samples, from) => {
    kept.push(samples.slice());
    since += samples.length;
    const enough = (listener.size / rate + 0.1) * from;
    let length = kept.reduce((all, one) => all + one.length, 0);
    while (kept.length > 1 && length - kept[0].length >= enough) length -= kept.shift().length;
    if (busy || since < LIVE_SECONDS * from) return;
    busy = true;
    since = 0;
    try {
      const newest = resample(joined(kept), from, rate).slice(-listener.size);
      if (audible(newest, rate)) told(newest, (await listener.answer([newest]))[0]);
      else show("Nothing is to be heard.", []);
    } finally {
      busy = false;
    }
  };
  toggle(
    "live",
    "Stop listening",
    async () => {
      kept = [];
      let from = 0; // Hz, known when the microphone has begun
      const recorder = await start({ onBlock: (samples) => from && block(samples, from), keep: false });
      from = Math.round(recorder.rate);
      return recorder;
    },
    (recorder) => recorder.stop(),
  );
}

/** A button that begins something, and ends it when it is pressed again. */
function toggle(id, words, begin, end) {
  const button = at(id);
  const before = button.textContent;
  let running = null;
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      if (running) {
        const ended = running;
        running = null;
        await end(ended);
      } else running = await begin();
    } catch (error) {
      show(error.message, [], true);
    }
    button.disabled = false;
    button.setAttribute("aria-pressed", String(Boolean(running)));
    button.textContent = running ? words : before;
  });
}
