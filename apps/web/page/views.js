// How an answer to a picture is shown, by its kind.
import { at, bars, element, figure, save } from "./elements.js";
import { percent } from "./kinds.js";
import { canvasOf, pngOf } from "./picture/encoding.js";
import { heatCanvas, occlusion, preparedCanvas } from "./picture/seen.js";

const SHOWN_SCORES = 5;

/** Words of an answer, and what is drawn of it. */
export function show(words, parts, bad = false) {
  at("said").textContent = words;
  at("said").className = bad ? "said bad" : "said";
  at("shown").replaceChildren(...parts);
  at("answer").hidden = false;
}

/**
 * Scores: the picture, what the network saw of it, bars, and what speaks for the best label.
 * @param {object} model as `Model`. @param {object} picture decoded. @param {object} answer as `Model.ask` gives it.
 * @param {object} row as `predict` has it.
 */
export function scored(model, picture, answer, row) {
  const left = element("div", {}, [
    figure(canvasOf(picture), `${picture.width} x ${picture.height} px, answered in ${Math.round(answer.ms)} ms`),
  ]);
  const seen = answer.seen && preparedCanvas(answer.seen);
  if (seen) left.append(figure(seen, `What the network saw: ${seen.width} x ${seen.height} px`, "small"));
  const right = element("div", {}, row.top ? [bars(row.top.slice(0, SHOWN_SCORES))] : []);
  if (row.top && model.facts.labels.length > 1) right.append(speaking(model, picture, row.top[0].label));
  show(model.kind.said(row), [left, right]);
}

/** A button that shows what speaks for a label. */
function speaking(model, picture, label) {
  const words = element("p", { class: "note", role: "status" });
  const button = element("button", { type: "button", text: `What speaks for ${label}?` });
  const box = element("div", { class: "small" }, [button, words]);
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const found = await occlusion(model, picture, model.facts.labels.indexOf(label), (done, all) => {
        words.textContent = `Covering parts of the picture: ${done} of ${all}`;
      });
      const most = percent(Math.max(...found.map));
      words.textContent = "";
      box.replaceChildren(
        figure(
          heatCanvas(picture, found),
          `Red: parts without which the network is less sure of ${label}, by ${most} at most.`,
        ),
      );
    } catch (error) {
      words.textContent = error.message;
      button.disabled = false;
    }
  });
  return box;
}

/**
 * A picture made of a picture: a slider between the two, and a download.
 * @param {object} before decoded. @param {object} after as `tiles.whole` gives it. @param {string} name of the result.
 */
export function made(before, after, name, words) {
  const below = canvasOf(after);
  const above = element("canvas", { class: "before", "aria-hidden": "true" });
  above.width = after.width;
  above.height = after.height;
  const context = above.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(canvasOf(before), 0, 0, after.width, after.height);
  const slider = element("input", {
    type: "range",
    min: "0",
    max: "100",
    value: "50",
    "aria-label": "How much of the picture is shown as it was, from the left",
  });
  const cut = () => {
    above.style.clipPath = `inset(0 ${100 - slider.value}% 0 0)`;
  };
  slider.addEventListener("input", cut);
  cut();
  below.setAttribute("role", "img");
  below.setAttribute("aria-label", `The result, ${after.width} x ${after.height} px`);
  const compare = element("div", { class: "compare" }, [
    below,
    above,
    element("span", { class: "tag left", text: "before" }),
    element("span", { class: "tag right", text: "after" }),
    slider,
  ]);
  const keep = element("button", {
    type: "button",
    class: "first",
    text: `Download ${name}`,
    click: async () => save(await pngOf(after), name),
  });
  show(words, [compare, element("div", { class: "wide" }, [keep])]);
}

/** A number: the picture beside it. */
export function counted(model, picture, answer, row) {
  show(model.kind.said(row), [
    figure(canvasOf(picture), `${picture.width} x ${picture.height} px, answered in ${Math.round(answer.ms)} ms`),
  ]);
}
