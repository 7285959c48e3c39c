// The page's model: raw pictures and sounds in, answers out, prepared as `predict` prepares them.
import { KINDS } from "./kinds.js";
import { decode } from "./picture/decoding.js";
import { inside, isBlank } from "./picture/pages.js";

/** RGB bytes as the float32 numbers that the model takes, 0..255. */
export function floats(picture) {
  return Float32Array.from(picture.data);
}

export class Model {
  /** @param {object} facts what `model/model.json` says. @param {Asker} asker the model in its worker. */
  constructor(facts, asker) {
    this.facts = facts;
    this.kind = KINDS[facts.kind];
    this.asker = asker;
    this.weights = null; // of styles, where the visitor chose them
  }

  /** As `Asker.ready`; names the output that is the answer. */
  async ready(told) {
    const known = await this.asker.ready(told);
    this.output = known.outputs.find((name) => name !== this.facts.seen);
    return known;
  }

  cancel() {
    this.asker.cancel();
  }

  /**
   * A file as the model's raw picture.
   * @param {Blob} blob
   * @returns {Promise<{data: Uint8Array, width: number, height: number, notes: string[]}>}
   * @throws {Error} in one line, what is wrong with it.
   */
  async read(blob) {
    return this.prepared(await decode(blob, { mostPixels: this.facts.most_pixels || undefined }));
  }

  /** A decoded picture without what surrounds the page, where the model reads what stands on one. */
  prepared(picture) {
    if (!this.facts.finds_ink) return picture;
    const page = { notes: picture.notes, ...inside(picture) };
    if (isBlank(page)) throw new Error("it shows no digit: the page is blank; give a picture of one");
    return page;
  }

  /**
   * Answer one raw input.
   * @param {Float32Array|Uint8Array} data (height, width, 3) in 0..255, or samples in -1..1.
   * @param {number[]} dims its shape, with the batch.
   * @param {boolean} withSeen whether also the picture that the network saw.
   * @param {?Float32Array} shares of further inputs, such as styles; null takes all alike.
   * @returns {Promise<{values: Float32Array, dims: number[], seen: object|null, ms: number}>}
   */
  async answer(data, dims, withSeen = false, shares = this.weights) {
    if (!this.output) await this.ready();
    const type = dims.length === 4 ? this.facts.takes : "float32";
    const raw = type === "uint8" ? Uint8Array.from(data) : Float32Array.from(data);
    const others = this.facts.beside.map((values) => {
      const given = shares?.slice() ?? new Float32Array(values).fill(1 / values);
      return { type: "float32", data: given, dims: [1, values] };
    });
    const seen = withSeen && this.facts.seen;
    const wanted = seen ? [this.output, seen] : [this.output];
    const { outputs, ms } = await this.asker.run([{ type, data: raw, dims }, ...others], wanted);
    const found = outputs[this.output];
    if (!found.data.every(Number.isFinite)) throw new Error("the model's answer is no number");
    return { values: found.data, dims: found.dims, seen: seen ? outputs[seen] : null, ms };
  }

  /** Answer a decoded picture. As `answer`. */
  ask(picture, withSeen = false) {
    return this.answer(picture.data, [1, picture.height, picture.width, 3], withSeen);
  }
}
