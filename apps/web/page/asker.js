// Asking a model that answers in a worker.

/**
 * A tensor as the worker takes and gives it.
 * @typedef {{type?: string, data: Float32Array|Uint8Array, dims: number[]}} Tensor
 */

export class Cancelled extends Error {}

export class Asker {
  /**
   * @param {string|Uint8Array} model address of an ONNX file, or its bytes.
   * @param {string|null} digest its SHA-256, hexadecimal.
   * @param {"wasm"|"webgpu"} engine what computes: the CPU, or the graphics processor.
   * @param {boolean} optimise whether the graph is optimised when it is loaded.
   */
  constructor(model, digest = null, engine = "wasm", optimise = true) {
    this.model = model;
    this.engine = engine;
    this.optimise = optimise;
    this.digest = digest;
    this.worker = null;
    this.waiting = new Map();
    this.last = 0;
    this.told = () => {};
  }

  /**
   * Load the model, where it is not loaded yet.
   * @param {(bytes: number, all: number) => void} told bytes of its file that are here, and all, 0 where unknown.
   * @returns {Promise<{changed: boolean, threads: number, inputs: string[], outputs: string[]}>} names of its inputs and
   *   outputs; whether the file is another one than its digest says.
   * @throws {Error} the file is missing or is no model.
   */
  ready(told = () => {}) {
    this.told = told;
    if (!this.loading) {
      this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
      this.worker.onmessage = ({ data }) => this.#settle(data);
      this.worker.onerror = (event) => {
        event.preventDefault?.();
        this.#fail(new Error(event.message || "the browser could not start the page's program"));
      };
      const address = this.model instanceof Uint8Array ? this.model : new URL(this.model, document.baseURI).href;
      this.loading = this.#send({
        load: { address, digest: this.digest, engine: this.engine, optimise: this.optimise },
      });
    }
    return this.loading;
  }

  /**
   * Answer one batch.
   * @param {Tensor[]} inputs in the order of the model's inputs.
   * @param {string[]} wanted names of outputs.
   * @returns {Promise<{outputs: Object<string, Tensor>, ms: number}>}
   * @throws {Cancelled} `cancel` was called meanwhile.
   * @throws {Error} the model cannot answer, as where memory lacks.
   */
  async run(inputs, wanted) {
    await this.ready();
    return this.#send(
      { inputs, wanted },
      inputs.map(({ data }) => data.buffer),
    );
  }

  /** End what is under way; the next call loads the model anew. */
  cancel() {
    this.#fail(new Cancelled("cancelled"));
  }

  #send(message, transferred = []) {
    const id = ++this.last;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, ...message }, transferred);
    });
  }

  #settle({ id, result, error, progress }) {
    if (progress) {
      this.told(...progress);
      return;
    }
    const one = this.waiting.get(id);
    this.waiting.delete(id);
    if (error === undefined) one?.resolve(result);
    else one?.reject(new Error(error));
  }

  #fail(error) {
    this.worker?.terminate();
    this.worker = null;
    this.loading = null;
    const all = [...this.waiting.values()];
    this.waiting.clear();
    for (const { reject } of all) reject(error);
  }
}
