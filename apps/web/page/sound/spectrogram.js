/** A picture of a sound: how strong each frequency is over time, and the windows that a model was asked about. */

const HEIGHT = 220;
const FONT = "12px system-ui, sans-serif";
const LEFT = 54; // px, of the frequency axis
const TIME = 18; // px, of the time axis
const LABELS = 20; // px, of the row of labels
const CLOSEST = 8; // px, of borders of windows
const FRAME_SECONDS = 0.032;
const RANGE_DB = 70;
const FRAMES_A_COLUMN = 3;

const HERTZ = [125, 250, 500, 1_000, 2_000, 4_000, 8_000, 16_000];
const SECONDS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_800, 3_600];

/** From the faintest to the loudest, [red, green, blue] each. */
const COLOURS = {
  light: [
    [255, 255, 255],
    [205, 225, 240],
    [110, 165, 210],
    [40, 95, 165],
    [45, 25, 90],
  ],
  dark: [
    [14, 16, 22],
    [45, 25, 85],
    [140, 45, 115],
    [235, 110, 70],
    [255, 240, 170],
  ],
};
const INK = {
  light: { text: "#1f2328", line: "rgba(31, 35, 40, 0.35)", chosen: "#b3261e" },
  dark: { text: "#e6e8eb", line: "rgba(230, 232, 235, 0.4)", chosen: "#ffd166" },
};

/** Draw a sound's spectrogram with its axes, and under it the windows.
 *
 * @param {HTMLCanvasElement} canvas as wide as the page's style makes it; its height is set here.
 * @param {Float32Array} samples mono, -1..1, one or more.
 * @param {number} rate Hz.
 * @param {{windows: {start: number, end: number, label: ?string}[], chosen: ?number, dark: boolean, height: number}}
 *   options windows in seconds, in the order of their starts, a label of null where nothing is to be heard; the number
 *   of the one that is outlined; px of the page.
 * @returns {{secondsAt: function(number): number, windowAt: function(number): number}} of a place in px from the
 *   canvas's left edge: the time, and the number of the window whose label stands there, or -1.
 */
export function draw(canvas, samples, rate, { windows = [], chosen = null, dark = false, height = HEIGHT } = {}) {
  const width = Math.max(canvas.clientWidth || 640, 120);
  const scale = window.devicePixelRatio || 1;
  canvas.style.height = `${height}px`;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const below = TIME + (windows.length ? LABELS : 0);
  const area = { left: LEFT, top: 6, width: width - LEFT - 8, height: height - 6 - below };
  const seconds = samples.length / rate;
  const place = (time) => area.left + (Math.min(time, seconds) / seconds) * area.width;
  const ink = dark ? INK.dark : INK.light;
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = FONT;
  const picture = painted(samples, rate, Math.round(area.width), Math.round(area.height), dark);
  context.imageSmoothingEnabled = true;
  context.drawImage(picture, area.left, area.top, area.width, area.height);
  context.strokeStyle = ink.line;
  context.strokeRect(area.left, area.top, area.width, area.height);
  frequencyAxis(context, area, rate, ink);
  timeAxis(context, area, seconds, place, ink);
  windowRow(context, area, windows, chosen, place, ink);
  return {
    secondsAt: (x) => Math.min(Math.max((x - area.left) / area.width, 0), 1) * seconds,
    windowAt: (x) => windows.findIndex((one, number) => x >= place(one.start) && x < place(cellEnd(windows, number))),
  };
}

/** What the picture shows, as a sentence for those who do not see it.
 *
 * @param {Float32Array} samples mono, -1..1, one or more.
 * @param {number} rate Hz.
 * @param {{windows: {label: ?string}[]}} options as of `draw`.
 * @returns {string}
 */
export function describe(samples, rate, { windows = [] } = {}) {
  const seconds = samples.length / rate;
  const said = [`Spectrogram of ${rounded(seconds)} s of sound at ${rate.toLocaleString("en-US")} Hz`];
  const { start, end, db } = loudest(samples, rate);
  if (db <= -100) said.push("silent throughout");
  else said.push(`loudest from ${rounded(start)} s to ${rounded(end)} s, at ${Math.round(db)} dB of full scale`);
  if (windows.length) {
    const labels = windows.map(({ label }) => label ?? "nothing").filter((one, number, all) => one !== all[number - 1]);
    const more = labels.length > 8 ? ` and ${labels.length - 8} more` : "";
    const number = windows.length === 1 ? "1 window" : `${windows.length} windows`;
    said.push(`${number}, in their order: ${labels.slice(0, 8).join(", ")}${more}`);
  }
  return `${said.join("; ")}.`;
}

/** The loudest second, of all where there is less: {start, end} in seconds, {db} its root mean square. */
function loudest(samples, rate) {
  const size = Math.min(Math.round(rate), samples.length);
  const step = Math.max(Math.round(rate / 10), 1);
  const sums = new Float64Array(samples.length + 1);
  for (let at = 0; at < samples.length; at++) sums[at + 1] = sums[at] + samples[at] ** 2;
  let [best, start] = [-1, 0];
  for (let at = 0; at + size <= samples.length; at += step) {
    if (sums[at + size] - sums[at] > best) [best, start] = [sums[at + size] - sums[at], at];
  }
  return { start: start / rate, end: (start + size) / rate, db: 10 * Math.log10(Math.max(best, 0) / size + 1e-20) };
}

/** The spectrogram itself, a canvas of `columns` by `rows` px, frequencies along the mel scale. */
function painted(samples, rate, columns, rows, dark) {
  const size = 2 ** Math.round(Math.log2(FRAME_SECONDS * rate));
  const bins = Array.from({ length: rows + 1 }, (_, row) => (hertz((row / rows) * mel(rate / 2)) / rate) * size);
  const levels = new Float32Array(columns * rows);
  const hop = samples.length / columns;
  const frames = Math.min(Math.max(Math.ceil((2 * hop) / size), 1), FRAMES_A_COLUMN);
  const fourier = new Fourier(size);
  for (let column = 0; column < columns; column++) {
    for (let frame = 0; frame < frames; frame++) {
      const power = fourier.power(samples, Math.round((column + (frame + 0.5) / frames) * hop - size / 2));
      for (let row = 0; row < rows; row++) {
        levels[column * rows + row] += strength(power, bins[row], bins[row + 1]) / frames;
      }
    }
  }
  for (let at = 0; at < levels.length; at++) levels[at] = 10 * Math.log10(levels[at] + 1e-12);
  const top = levels.reduce((most, level) => Math.max(most, level), -100);
  const image = new ImageData(columns, rows);
  const palette = colours(dark ? COLOURS.dark : COLOURS.light);
  for (let column = 0; column < columns; column++) {
    for (let row = 0; row < rows; row++) {
      const share = Math.max(1 + (levels[column * rows + row] - top) / RANGE_DB, 0);
      image.data.set(palette[Math.round(share * 255)], 4 * ((rows - 1 - row) * columns + column));
    }
  }
  const canvas = new OffscreenCanvas(columns, rows);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** Mean power between two places in the spectrum, in bins; between two bins where there is none within. */
function strength(power, from, to) {
  const first = Math.ceil(from);
  const last = Math.min(Math.floor(to), power.length - 1);
  if (last <= first) {
    const middle = Math.min((from + to) / 2, power.length - 1);
    const below = Math.floor(middle);
    const share = middle - below;
    return (1 - share) * power[below] + share * (power[below + 1] ?? 0);
  }
  let sum = 0;
  for (let bin = first; bin <= last; bin++) sum += power[bin];
  return sum / (last - first + 1);
}

/** 256 colours, [red, green, blue, 255] each. */
function colours(stops) {
  return Array.from({ length: 256 }, (_, number) => {
    const place = (number / 255) * (stops.length - 1);
    const below = Math.min(Math.floor(place), stops.length - 2);
    const share = place - below;
    return [...stops[below].map((value, one) => Math.round(value + share * (stops[below + 1][one] - value))), 255];
  });
}

function frequencyAxis(context, area, rate, ink) {
  context.fillStyle = ink.text;
  context.textAlign = "right";
  context.textBaseline = "middle";
  let above = Infinity;
  for (const one of HERTZ.filter((value) => value <= rate / 2)) {
    const y = area.top + area.height * (1 - mel(one) / mel(rate / 2));
    if (above - y < 16 || y > area.top + area.height - 4) continue;
    context.fillText(one < 1_000 ? `${one} Hz` : `${one / 1_000} kHz`, area.left - 6, Math.max(y, area.top + 6));
    tick(context, area.left - 4, y, area.left, y, ink.text);
    above = y;
  }
}

function timeAxis(context, area, seconds, place, ink) {
  const step = SECONDS.find((one) => (one / seconds) * area.width >= 56) ?? seconds;
  const bottom = area.top + area.height;
  context.textAlign = "center";
  context.textBaseline = "top";
  for (let number = 0; number * step <= seconds * (1 + 1e-9); number++) {
    const x = place(number * step);
    const text = clock(number * step, step);
    const half = context.measureText(text).width / 2;
    context.fillText(text, Math.min(x, area.left + area.width + 8 - half), bottom + 5);
    tick(context, x, bottom, x, bottom + 4, ink.text);
  }
}

/** Borders of the windows where they are not too close, and as many of their labels as there is room for. */
function windowRow(context, area, windows, chosen, place, ink) {
  const right = area.left + area.width + 8;
  const bottom = area.top + area.height;
  const row = bottom + TIME;
  const label = (one) => one.label ?? "–";
  const width = (one) => context.measureText(label(one)).width + 8;
  const one = windows[chosen];
  const taken = one ? [place(one.start), place(one.start) + width(one)] : [0, 0];
  const span = windows.length ? place(windows.at(-1).start) - place(windows[0].start) : 0;
  const apart = windows.length > 1 ? span / (windows.length - 1) : CLOSEST;
  context.textBaseline = "top";
  context.textAlign = "left";
  let free = 0;
  windows.forEach((other, number) => {
    const [x, end] = [place(other.start), place(other.start) + width(other)];
    if (apart >= CLOSEST) tick(context, x, area.top, x, bottom, ink.line);
    const beside = x >= free && end <= right && (x >= taken[1] || end <= taken[0]);
    if (number !== chosen && !beside) return;
    tick(context, x, row + 2, x, row + 17, ink.line);
    context.fillStyle = number === chosen ? ink.chosen : ink.text;
    context.fillText(label(other), Math.min(x + 4, right - width(other) + 4), row + 4);
    free = end;
  });
  if (!one) return;
  const to = Math.max(place(one.end) - 1, place(one.start) + 2);
  context.strokeStyle = ink.chosen;
  context.lineWidth = 2;
  context.strokeRect(place(one.start) + 1, area.top + 1, to - place(one.start) - 1, area.height - 2);
  context.lineWidth = 1;
}

/** Where the part of the row that belongs to a window ends, in seconds. */
function cellEnd(windows, number) {
  return Math.min(windows[number].end, windows[number + 1]?.start ?? Infinity);
}

function tick(context, fromX, fromY, toX, toY, colour) {
  context.strokeStyle = colour;
  context.beginPath();
  context.moveTo(Math.round(fromX) + 0.5, Math.round(fromY) + 0.5);
  context.lineTo(Math.round(toX) + 0.5, Math.round(toY) + 0.5);
  context.stroke();
}

function clock(time, step) {
  if (step < 60 && time < 60) return `${Number(time.toFixed(2))} s`;
  const whole = Math.round(time);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function rounded(value) {
  return Number(value.toFixed(value < 10 ? 2 : 1));
}

/** Hz to mel (O'Shaughnessy 1987) and back. */
function mel(value) {
  return 2595 * Math.log10(1 + value / 700);
}

function hertz(value) {
  return 700 * (10 ** (value / 2595) - 1);
}

/** Power spectra of frames of `size` samples, a power of two, under a Hann window. */
class Fourier {
  constructor(size) {
    this.size = size;
    this.real = new Float64Array(size);
    this.imaginary = new Float64Array(size);
    this.window = Float64Array.from({ length: size }, (_, at) => 0.5 - 0.5 * Math.cos((2 * Math.PI * at) / size));
    this.cosines = Float64Array.from({ length: size / 2 }, (_, at) => Math.cos((2 * Math.PI * at) / size));
    this.sines = Float64Array.from({ length: size / 2 }, (_, at) => Math.sin((2 * Math.PI * at) / size));
    const bits = Math.log2(size);
    this.order = Uint32Array.from({ length: size }, (_, at) => {
      let turned = 0;
      for (let bit = 0; bit < bits; bit++) turned |= ((at >> bit) & 1) << (bits - 1 - bit);
      return turned;
    });
  }

  /** float64 (size / 2 + 1,), of samples from `start` on; those before and after the sound are 0. */
  power(samples, start) {
    const { size, real, imaginary, cosines, sines } = this;
    for (let at = 0; at < size; at++) real[this.order[at]] = this.window[at] * (samples[start + at] ?? 0);
    imaginary.fill(0);
    for (let half = 1; half < size; half *= 2) {
      for (let from = 0; from < size; from += 2 * half) {
        for (let at = 0; at < half; at++) {
          const [one, other, turn] = [from + at, from + at + half, (at * size) / (2 * half)];
          const a = real[other] * cosines[turn] + imaginary[other] * sines[turn];
          const b = imaginary[other] * cosines[turn] - real[other] * sines[turn];
          real[other] = real[one] - a;
          imaginary[other] = imaginary[one] - b;
          real[one] += a;
          imaginary[one] += b;
        }
      }
    }
    return Float64Array.from({ length: size / 2 + 1 }, (_, bin) => real[bin] ** 2 + imaginary[bin] ** 2);
  }
}
