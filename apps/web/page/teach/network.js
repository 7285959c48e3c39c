// The network whose features are learned from.
import { Asker } from "../asker.js";

export class Network {
  /** @param {object} facts what `features/features.json` says. */
  constructor(facts) {
    this.facts = facts;
    this.asker = new Asker(facts.file.name, facts.file.sha256);
  }

  /** As `Asker.ready`. */
  ready(told) {
    return this.asker.ready(told);
  }

  /**
   * The features of a picture, or of a sound of one window.
   * @param {{type: string, data: Uint8Array|Float32Array, dims: number[]}} raw as the network takes it; it is taken away.
   * @returns {Promise<Float32Array>}
   */
  async features(raw) {
    const { outputs } = await this.asker.run([raw], ["features"]);
    if (!outputs.features.data.every(Number.isFinite)) throw new Error("the network's answer is no number");
    return outputs.features.data;
  }

  /** The bytes of the network's file. */
  async bytes() {
    const response = await fetch(this.facts.file.name);
    if (!response.ok) throw new Error(`${this.facts.file.name} is missing (${response.status})`);
    return new Uint8Array(await response.arrayBuffer());
  }
}
