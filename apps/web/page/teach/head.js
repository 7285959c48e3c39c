// A classifier of features: multinomial logistic regression with an L2 penalty, computed to the end and the same each
// time.
//
// The loss is the sum over examples plus penalty / 2 times the sum of the squares of the weights, as scikit-learn's
// LogisticRegression(C=1 / penalty) has it; offsets are free.

const PENALTIES = [0.002, 0.02, 0.2, 2]; // for each example; of standardised features
const ROUNDS = 60;
const STEPS = 250; // of conjugate gradients in a round, at most
const GRADIENT = 1e-7; // of a weight, for each example, at which it ends
const TRIED_GRADIENT = 1e-4; // the same where it is only measured how strong the penalty should be
const MANY = 400; // examples, of more than which a single fifth is left out

/**
 * Features with mean 0 that vary alike. Of each variance and the mean one of all the average is taken: of few examples a
 * variance is a guess, and features that hardly vary would count as much as those that do.
 * @param {Float32Array[]} rows n features of d numbers each.
 * @returns {{values: Float64Array, mean: Float64Array, scale: Float64Array}} values (n, d).
 */
export function standardised(rows) {
  const [n, d] = [rows.length, rows[0].length];
  const mean = new Float64Array(d);
  const variance = new Float64Array(d);
  for (const row of rows) for (let j = 0; j < d; j++) mean[j] += row[j] / n;
  for (const row of rows) for (let j = 0; j < d; j++) variance[j] += (row[j] - mean[j]) ** 2 / n;
  const middle = variance.reduce((sum, one) => sum + one / d, 0);
  const scale = variance.map((one) => Math.sqrt(Math.max((one + middle) / 2, 1e-12)));
  const values = new Float64Array(n * d);
  rows.forEach((row, i) => {
    for (let j = 0; j < d; j++) values[i * d + j] = (row[j] - mean[j]) / scale[j];
  });
  return { values, mean, scale };
}

/**
 * Rows with the same products of one with another, of as many numbers as there are rows, where those are fewer.
 * @param {Float64Array} values (n, d). @returns {{values: Float64Array, size: number}} (n, size).
 */
export function reduced(values, n, d) {
  if (n >= d) return { values, size: d };
  const lower = new Float64Array(n * n);
  let trace = 0;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let t = 0; t < d; t++) sum += values[i * d + t] * values[j * d + t];
      lower[i * n + j] = sum;
    }
    trace += lower[i * n + i];
  }
  const least = Math.max((1e-12 * trace) / n, 1e-30); // equal rows have no part of their own
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      let sum = lower[i * n + j];
      for (let t = 0; t < j; t++) sum -= lower[i * n + t] * lower[j * n + t];
      if (i === j) lower[i * n + j] = Math.sqrt(Math.max(sum, least));
      else lower[i * n + j] = sum / lower[j * n + j];
    }
  }
  return { values: lower, size: n };
}

/**
 * Weights with the least loss, by Newton's method, each step by conjugate gradients.
 * @param {Float64Array} values (n, size). @param {number} size
 * @param {number[]} truth of each row its label, 0..labels - 1. @param {number} labels
 * @param {number} penalty @param {number[]} rows those that are learned from.
 * @param {Float64Array|null} start of the weights. @param {number} least gradient for each example at which it ends.
 * @returns {Float64Array} (size + 1, labels): weights, and the offsets as the last row.
 */
export function fitted(values, size, truth, labels, penalty, rows, start = null, least = GRADIENT) {
  const length = (size + 1) * labels;
  let weights = start ? start.slice() : new Float64Array(length);
  let now = loss(values, size, truth, labels, penalty, rows, weights);
  for (let round = 0; round < ROUNDS; round++) {
    const gradient = back(values, size, labels, penalty, rows, now.residual, weights);
    const steepest = norm(gradient);
    if (steepest < least * rows.length) break;
    const step = newton(values, size, labels, penalty, rows, now.shares, gradient);
    const slope = dot(gradient, step);
    let factor = 1;
    let next = null;
    for (; factor > 1e-6; factor /= 2) {
      const tried = weights.map((one, place) => one + factor * step[place]);
      const found = loss(values, size, truth, labels, penalty, rows, tried);
      if (found.value <= now.value + 1e-4 * factor * slope + 1e-13 * Math.abs(now.value)) {
        [weights, next] = [tried, found];
        break;
      }
    }
    if (!next) break;
    now = next;
  }
  return weights;
}

/** Scores before softmax of rows, (rows, labels). */
export function scores(values, size, labels, rows, weights) {
  const found = new Float64Array(rows.length * labels);
  rows.forEach((row, i) => {
    for (let k = 0; k < labels; k++) found[i * labels + k] = weights[size * labels + k];
    for (let j = 0; j < size; j++) {
      const value = values[row * size + j];
      for (let k = 0; k < labels; k++) found[i * labels + k] += value * weights[j * labels + k];
    }
  });
  return found;
}

/** Softmax of scores, (n, labels), divided by a temperature. */
export function shares(found, labels, temperature = 1) {
  const given = new Float64Array(found.length);
  for (let i = 0; i < found.length; i += labels) {
    let most = -Infinity;
    for (let k = 0; k < labels; k++) most = Math.max(most, found[i + k] / temperature);
    let sum = 0;
    for (let k = 0; k < labels; k++) sum += given[i + k] = Math.exp(found[i + k] / temperature - most);
    for (let k = 0; k < labels; k++) given[i + k] /= sum;
  }
  return given;
}

function loss(values, size, truth, labels, penalty, rows, weights) {
  const found = shares(scores(values, size, labels, rows, weights), labels);
  const residual = found.slice();
  let value = 0;
  rows.forEach((row, i) => {
    residual[i * labels + truth[row]] -= 1;
    value -= Math.log(Math.max(found[i * labels + truth[row]], 1e-300));
  });
  for (let j = 0; j < size * labels; j++) value += (penalty / 2) * weights[j] ** 2;
  return { value, residual, shares: found };
}

/** What scores of rows, (rows, labels), mean for the weights, and the penalty times the weights. */
function back(values, size, labels, penalty, rows, given, weights) {
  const found = new Float64Array((size + 1) * labels);
  rows.forEach((row, i) => {
    for (let j = 0; j < size; j++) {
      const value = values[row * size + j];
      for (let k = 0; k < labels; k++) found[j * labels + k] += value * given[i * labels + k];
    }
    for (let k = 0; k < labels; k++) found[size * labels + k] += given[i * labels + k];
  });
  for (let j = 0; j < size * labels; j++) found[j] += penalty * weights[j];
  return found;
}

/** The step that makes the gradient small: curvature x step = -gradient, as far as it is of use. */
function newton(values, size, labels, penalty, rows, found, gradient) {
  const step = new Float64Array(gradient.length);
  const rest = gradient.map((one) => -one);
  const direction = rest.slice();
  let square = dot(rest, rest);
  const enough = square * Math.min(0.01, Math.sqrt(square) / rows.length) ** 2;
  for (let count = 0; count < STEPS && square > enough; count++) {
    const turned = scores(values, size, labels, rows, direction);
    for (let i = 0; i < turned.length; i += labels) {
      let mean = 0;
      for (let k = 0; k < labels; k++) mean += found[i + k] * turned[i + k];
      for (let k = 0; k < labels; k++) turned[i + k] = found[i + k] * (turned[i + k] - mean);
    }
    const curved = back(values, size, labels, penalty, rows, turned, direction);
    const bend = dot(direction, curved);
    if (!(bend > 0)) break;
    const far = square / bend;
    for (let j = 0; j < step.length; j++) {
      step[j] += far * direction[j];
      rest[j] -= far * curved[j];
    }
    const next = dot(rest, rest);
    for (let j = 0; j < step.length; j++) direction[j] = rest[j] + (next / square) * direction[j];
    square = next;
  }
  return step;
}

function dot(one, other) {
  let sum = 0;
  for (let place = 0; place < one.length; place++) sum += one[place] * other[place];
  return sum;
}

const norm = (values) => values.reduce((most, one) => Math.max(most, Math.abs(one)), 0);

/**
 * The temperature that fits scores to the truth best, and the loss with it, per example. Where all are right none fits
 * best; so a share of the truth, as of one example more that is wrong, is spread over all labels (Platt 1999).
 * @param {Float64Array} found (n, labels), before softmax, of examples that were left out of learning.
 * @param {number[]} truth (n)
 * @returns {{temperature: number, loss: number}} 0.02..50.
 */
export function tempered(found, truth, labels) {
  const spread = 1 / (truth.length + 2);
  const at = (power) => {
    const given = shares(found, labels, 2 ** power);
    let sum = 0;
    truth.forEach((label, i) => {
      for (let k = 0; k < labels; k++) {
        const wanted = (k === label ? 1 - spread : 0) + spread / labels;
        sum -= wanted * Math.log(Math.max(given[i * labels + k], 1e-300));
      }
    });
    return sum / truth.length;
  };
  let [low, high] = [Math.log2(0.02), Math.log2(50)];
  for (let count = 0; count < 60; count++) {
    const third = (high - low) / 3;
    if (at(low + third) <= at(high - third)) high -= third;
    else low += third;
  }
  return { temperature: 2 ** ((low + high) / 2), loss: at((low + high) / 2) };
}

/**
 * A head for features: how strong the penalty is, and how sure it is, by examples that were left out in turn.
 * @param {Float32Array[]} features n, d numbers each. @param {number[]} truth labels of them, 0..labels - 1.
 * @param {number} labels two or more.
 * @param {number[]|null} folds of each the fold in which it is left out, 0, 1, ...; null where there are too few.
 * @param {(share: number) => void} told what is done, 0..1.
 * @returns {{weights: Float32Array, bias: Float32Array, penalty: number, temperature: number, left: number[], held: Float64Array}}
 *   weights (d, labels) and bias (labels) for features as they are; left: examples that were left out once; held (left,
 *   labels): scores of these, 0..1, from what was learned without them.
 */
export function learned(features, truth, labels, folds, told = () => {}) {
  const [n, d] = [features.length, features[0].length];
  const { values, mean, scale } = standardised(features);
  const { values: short, size } = reduced(values, n, d);
  const every = [...truth.keys()];
  const numbers = (folds ? [...new Set(folds)] : []).sort((a, b) => a - b).slice(0, n > MANY ? 1 : undefined);
  const left = every.filter((row) => folds && numbers.includes(folds[row]));
  const leftTruth = left.map((row) => truth[row]);
  const parts = PENALTIES.length * numbers.length + 1;
  let [best, done] = [{ loss: Infinity, temperature: 1, penalty: PENALTIES[1] * n, held: null }, 0];
  const starts = new Map();
  for (const each of numbers.length ? [...PENALTIES].reverse() : []) {
    const held = new Float64Array(left.length * labels);
    for (const fold of numbers) {
      const rows = every.filter((row) => folds[row] !== fold);
      const own = left.filter((row) => folds[row] === fold);
      const penalty = each * rows.length;
      const found = fitted(short, size, truth, labels, penalty, rows, starts.get(fold), TRIED_GRADIENT);
      starts.set(fold, found);
      const given = scores(short, size, labels, own, found);
      own.forEach((row, i) => held.set(given.subarray(i * labels, (i + 1) * labels), left.indexOf(row) * labels));
      told(++done / parts);
    }
    const fits = tempered(held, leftTruth, labels);
    if (fits.loss < best.loss) best = { ...fits, penalty: each * n, held: shares(held, labels, fits.temperature) };
  }
  const final = fitted(short, size, truth, labels, best.penalty, every);
  const direct =
    size === d && n >= d ? final : whole(values, short, size, truth, labels, best.penalty, every, final, d);
  told(1);
  return { ...folded(direct, mean, scale, labels, best.temperature), left, ...best };
}

/** Weights for (n, d) from those for rows that were made shorter: at the least loss they are sums of the rows. */
function whole(values, short, size, truth, labels, penalty, rows, weights, d) {
  const { residual } = loss(short, size, truth, labels, penalty, rows, weights);
  const found = back(values, d, labels, 0, rows, residual, new Float64Array((d + 1) * labels));
  for (let j = 0; j < d * labels; j++) found[j] /= -penalty;
  found.set(weights.subarray(size * labels), d * labels);
  return found;
}

/** Weights and offsets for features that are not standardised, with the temperature in them. */
function folded(weights, mean, scale, labels, temperature) {
  const d = mean.length;
  const found = new Float32Array(d * labels);
  const bias = new Float64Array(labels);
  for (let k = 0; k < labels; k++) bias[k] = weights[d * labels + k] / temperature;
  for (let j = 0; j < d; j++) {
    for (let k = 0; k < labels; k++) {
      const value = weights[j * labels + k] / scale[j] / temperature;
      found[j * labels + k] = value;
      bias[k] -= mean[j] * found[j * labels + k];
    }
  }
  return { weights: found, bias: Float32Array.from(bias) };
}
