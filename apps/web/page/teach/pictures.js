// Pictures as examples: {data: Uint8Array, width, height}, RGB.
import { camera, frame, opened } from "../camera.js";
import { bars, element, figure } from "../elements.js";
import { canvasOf, thumbnail } from "../picture/encoding.js";
import { decode } from "../picture/decoding.js";
import { show } from "../views.js";

const THUMBNAIL_PX = 72;
const EVERY_MS = 200; // from one picture of the camera to the next

export class Pictures {
  /** @param {object} network as `Network`. */
  constructor(network) {
    this.network = network;
    this.app = "transfer";
    this.words = { single: "picture", many: "pictures", counted: "examples", drop: "Drop pictures here." };
    const { side } = network.facts;
    this.details = { side };
  }

  /** A file as an example. @throws {Error} what is wrong with it; the file is named there. */
  read(blob) {
    return decode(blob, { mostPixels: this.network.facts.most_pixels });
  }

  /** What an example is told apart from others by. */
  content({ data }) {
    return data;
  }

  /** Features of an example, a row. @returns {Promise<Float32Array[]>} */
  async rows(picture) {
    return [await this.network.features(this.tensor(picture))];
  }

  /**
   * Scores of an example.
   * @param {(features: Float32Array) => Float64Array} of gives those of a row.
   * @returns {Promise<{scores: Float64Array}>}
   */
  async answer(picture, of) {
    const [row] = await this.rows(picture);
    return { scores: of(row) };
  }

  /** As the file takes it: uint8 (1, height, width, 3), a copy. */
  tensor({ data, width, height }) {
    return { type: "uint8", data: Uint8Array.from(data), dims: [1, height, width, 3] };
  }

  /** A small element that stands for an example. */
  small(picture) {
    return thumbnail(picture, THUMBNAIL_PX);
  }

  /** Show an answer: what it says, the example, and the scores. */
  present(picture, said, top, words) {
    show(said, [element("div", {}, [figure(canvasOf(picture), words)]), element("div", {}, [bars(top)])]);
  }

  /** What gives examples while a button is held, as of `capture`. @param {string} name of the class. */
  source(name, given) {
    const view = element("video", { playsinline: true, "aria-label": `Camera for ${name}` });
    view.muted = true;
    let [stream, timer] = [null, null];
    const take = () => given(frame(view));
    return {
      device: "Camera",
      hold: "Hold to take pictures",
      view,
      async open() {
        stream = await opened();
        view.srcObject = stream;
        await view.play();
      },
      close() {
        stream?.getTracks().forEach((track) => track.stop());
        stream = null;
      },
      begin() {
        take();
        timer = setInterval(take, EVERY_MS);
      },
      end() {
        clearInterval(timer);
      },
      once: take,
    };
  }

  /** Wire what answers live. @param {(picture: object, name: string) => Promise<void>} answer */
  live(answer) {
    camera(
      (picture) => answer(picture, "camera").catch((error) => show(error.message, [], true)),
      (error) => show(error.message, [], true),
    );
  }
}
