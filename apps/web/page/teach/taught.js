// What was learned: its answers, its file, and the proof that the two are the same.
import { Asker } from "../asker.js";
import { KINDS } from "../kinds.js";
import { shares } from "./head.js";
import { withHead } from "./onnx_parts.js";

export const TOLERANCE = 1e-4; // of a score

export class Taught {
  /**
   * @param {object} medium as `Pictures` or `Sounds`.
   * @param {string[]} labels
   * @param {{weights: Float32Array, bias: Float32Array, temperature: number}} head as `learned` gives it.
   * @param {Object<string, number>} examples how many of each label.
   */
  constructor(medium, labels, head, examples) {
    this.medium = medium;
    this.labels = labels;
    this.head = head;
    this.examples = examples;
    this.facts = { labels, details: {} };
  }

  /** Scores of features, 0..1, one for each label. */
  scores(features) {
    const { weights, bias } = this.head;
    const labels = this.labels.length;
    const found = Float64Array.from(bias);
    for (let j = 0; j < features.length; j++) {
      for (let k = 0; k < labels; k++) found[k] += features[j] * weights[j * labels + k];
    }
    return shares(found, labels);
  }

  /** The row of an example, as `predict --json` has it. */
  async row(example) {
    const { scores } = await this.medium.answer(example, (features) => this.scores(features));
    return this.rowOf(scores);
  }

  /** The row of scores. */
  rowOf(scores) {
    return KINDS.probabilities.row(scores, this.facts);
  }

  /** The ONNX file: raw pictures or sounds in, probabilities out, labels inside. @returns {Promise<Uint8Array>} */
  async file() {
    const { app, details, network } = this.medium;
    const own = { temperature: this.head.temperature, examples: this.examples, taught: "in a page" };
    const description = {
      app,
      kind: "probabilities",
      labels: this.labels,
      input: network.facts.input,
      details: { network: network.facts.network, ...details, ...own },
    };
    const { weights, bias } = this.head;
    return withHead(await network.bytes(), { features: "features", weights, bias, description });
  }

  /**
   * How far the file's answers, read anew by the runtime, are from the page's.
   * @param {Uint8Array} file
   * @param {(() => Promise<object>)[]} examples give raw ones.
   * @returns {Promise<number>} the greatest difference of a score.
   */
  async apart(file, examples) {
    const asker = new Asker(file);
    let most = 0;
    try {
      for (const read of examples) {
        const example = await read();
        const { outputs } = await asker.run([this.medium.tensor(example)], ["output_0"]);
        const { scores } = await this.medium.answer(example, (features) => this.scores(features));
        most = Math.max(most, KINDS.probabilities.difference(outputs.output_0.data, scores));
      }
    } finally {
      asker.cancel();
    }
    return most;
  }
}

/**
 * Learn in a thread of its own.
 * @param {object} task {features, truth, labels, folds} as of `learned`. @param {(share: number) => void} told
 */
export function learn(task, told) {
  const worker = new Worker(new URL("./head_worker.js", import.meta.url), { type: "module" });
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data: { progress, found, error } }) => {
      if (progress !== undefined) told(progress);
      else if (error === undefined) resolve(found);
      else reject(new Error(error));
    };
    worker.onerror = (event) => reject(new Error(event.message || "the browser could not start the page's program"));
    worker.postMessage(task);
  }).finally(() => worker.terminate());
}
