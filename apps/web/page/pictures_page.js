// Pictures: from files, the camera and the pad to answers.
import { camera } from "./camera.js";
import { Cancelled } from "./asker.js";
import { at, element, save } from "./elements.js";
import { pad } from "./pad.js";
import { pngOf } from "./picture/encoding.js";
import { whole } from "./picture/tiles.js";
import { nameOf } from "./sources.js";
import { counted, made, scored, show } from "./views.js";

/**
 * @param {object} model as `Model`. @param {object} results as `Results`.
 * @returns {{raw: Function, one: Function, start: Function}} what reads a stored example, answers a file, and wires
 *   what only pictures have.
 */
export function pageOf(model, results) {
  const { facts, kind } = model;
  const shown = { probabilities: scored, quantity: counted }[facts.kind];

  const present = async (picture, name, told = () => {}) => {
    if (facts.kind === "picture") {
      const began = performance.now();
      const after = await whole(model, picture, (done, all) => told(done / all));
      const result = `${name.replace(/^.*\//, "").replace(/\.[^.]*$/, "")}${facts.scale ? `_x${facts.scale}` : ""}.png`;
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      made(
        picture,
        after,
        result,
        `${picture.width} x ${picture.height} px made ${after.width} x ${after.height} px in ${seconds} s`,
      );
      return { row: { size: [after.width, after.height] }, kept: async () => save(await pngOf(after), result) };
    }
    const answer = await model.ask(picture, true);
    const row = kind.row(answer.values, facts, answer.dims);
    shown(model, picture, answer, row);
    return { row, kept: null };
  };

  const one = async (file, told) => {
    const name = nameOf(file);
    try {
      const picture = await model.read(file);
      const { row, kept } = await present(picture, name, told);
      results.add({ file: name, ...row, ...(picture.notes?.length ? { notes: picture.notes } : {}) }, kept);
    } catch (error) {
      if (error instanceof Cancelled) throw error;
      show(`${name}: ${error.message}`, [], true);
      results.add({ file: name, error: error.message });
    }
  };

  const live = async (picture) => {
    try {
      await present(model.prepared(picture), "camera");
    } catch (error) {
      show(error.message, [], true);
    }
  };

  return {
    async raw(blob) {
      const picture = await model.read(blob);
      return { data: picture.data, dims: [1, picture.height, picture.width, 3] };
    },
    one,
    start() {
      camera(live, (error) => show(error.message, [], true));
      if (facts.finds_ink) pad(live);
      if (facts.beside.length) styles(model);
    },
  };
}

/** A slider for the weight of each of several styles; they are shown as shares of 1. */
function styles(model) {
  const names =
    model.facts.details.styles ?? Array.from({ length: model.facts.beside[0] }, (_, place) => `style ${place + 1}`);
  const sliders = names.map((name, place) => {
    const slider = element("input", { type: "range", min: "0", max: "100", value: place === 0 ? "100" : "0" });
    at("styles").append(element("label", { text: name.replaceAll("_", " ") }, [slider]));
    return slider;
  });
  const set = () => {
    const sum = sliders.reduce((all, slider) => all + Number(slider.value), 0);
    model.weights = Float32Array.from(sliders, (slider) => (sum ? slider.value / sum : 1 / sliders.length));
  };
  sliders.forEach((slider) => slider.addEventListener("input", set));
  set();
}
