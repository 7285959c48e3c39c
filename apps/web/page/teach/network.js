// The network whose features are learned from.
import { Asker } from "../asker.js";
import { decode } from "../picture/decoding.js";

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

  /** A file as a raw picture, RGB bytes. @throws {Error} in one line, what is wrong with it. */
  read(blob) {
    return decode(blob, { mostPixels: this.facts.most_pixels });
  }

  /**
   * The features of a picture.
   * @param {{data: Uint8Array, width: number, height: number}} picture RGB.
   * @returns {Promise<Float32Array>}
   */
  async features(picture) {
    const raw = rawOf(picture);
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

/** A picture as a tensor: uint8 (1, height, width, 3), a copy. */
export function rawOf({ data, width, height }) {
  return { type: "uint8", data: Uint8Array.from(data), dims: [1, height, width, 3] };
}
