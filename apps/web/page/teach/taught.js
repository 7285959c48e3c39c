// What was learned: its answers, its file, and the proof that the two are the same.
import { Asker } from "../asker.js";
import { KINDS } from "../kinds.js";
import { shares } from "./head.js";
import { rawOf } from "./network.js";
import { withHead } from "./onnx_parts.js";

export const TOLERANCE = 1e-4; // of a score

export class Taught {
  /**
   * @param {object} network as `Network`.
   * @param {string[]} labels
   * @param {{weights: Float32Array, bias: Float32Array, temperature: number}} head as `learned` gives it.
   * @param {Object<string, number>} examples how many of each label.
   */
  constructor(network, labels, head, examples) {
    this.network = network;
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

  /** The row of a picture, as `predict --json` has it. */
  async row(picture) {
    return KINDS.probabilities.row(this.scores(await this.network.features(picture)), this.facts);
  }

  /** The ONNX file: raw pictures in, probabilities out, labels inside. @returns {Promise<Uint8Array>} */
  async file() {
    const { network, side, input } = this.network.facts;
    const details = { network, side, temperature: this.head.temperature, examples: this.examples, taught: "in a page" };
    const description = { app: "transfer", kind: "probabilities", labels: this.labels, input, details };
    const { weights, bias } = this.head;
    return withHead(await this.network.bytes(), { features: "features", weights, bias, description });
  }

  /**
   * How far the file's answers, read anew by the runtime, are from the page's.
   * @param {Uint8Array} file
   * @param {(() => Promise<object>)[]} pictures give raw pictures.
   * @returns {Promise<number>} the greatest difference of a score.
   */
  async apart(file, pictures) {
    const asker = new Asker(file);
    let most = 0;
    try {
      for (const picture of pictures) {
        const given = await picture();
        const { outputs } = await asker.run([rawOf(given)], ["output_0"]);
        const own = this.scores(await this.network.features(given));
        most = Math.max(most, KINDS.probabilities.difference(outputs.output_0.data, own));
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
