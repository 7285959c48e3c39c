// The page that learns: classes, teaching, trying, and the file.
import { at, bars, element, figure, save } from "../elements.js";
import { camera } from "../camera.js";
import { KINDS, percent } from "../kinds.js";
import { canvasOf } from "../picture/encoding.js";
import { verdict } from "../proof.js";
import { Results } from "../results.js";
import { listen, nameOf, sorted } from "../sources.js";
import { show } from "../views.js";
import { each } from "../work.js";
import { Classes } from "./classes.js";
import { FOLDS, fewest, folds } from "./folds.js";
import { Network } from "./network.js";
import { TOLERANCE, Taught, learn } from "./taught.js";

const PROVED = 4; // examples of each class that the file is tried on

const said = (words) => {
  at("told").textContent = words;
};

async function start() {
  if (typeof WebAssembly !== "object") throw new Error("this browser has no WebAssembly, which the page computes with");
  const response = await fetch("features/features.json");
  if (!response.ok) throw new Error(`features/features.json is missing (${response.status})`);
  const network = new Network(await response.json());
  const { changed } = await network.ready((here, all) => {
    const [done, whole] = [here, all].map((bytes) => (bytes / 1e6).toFixed(1));
    verdict("waiting", `Loading the network: ${done}${all ? ` of ${whole}` : ""} MB`);
  });
  if (changed) throw new Error("the network's file is not the one that this page was made with");
  verdict("good", "✓ Ready. Give each class some pictures; nothing of what you give leaves this device.");
  new Page(network);
  document.documentElement.dataset.ready = "yes";
}

class Page {
  constructor(network) {
    this.network = network;
    this.taught = null;
    const queue = (things, one) => each(things, one, () => {});
    const heard = { changed: () => this.stale(), told: said };
    this.classes = new Classes(at("classes"), network, queue, heard);
    at("create").addEventListener("click", () => this.classes.create().input.select());
    at("all").addEventListener("click", () => at("all-folders").click());
    at("all-folders").addEventListener("change", () => {
      const files = sorted([...at("all-folders").files]);
      at("all-folders").value = "";
      this.classes.fill(files);
    });
    at("teach").addEventListener("click", () => queue([null], (_, told) => this.teach(told)));
    at("keep").addEventListener("click", () => this.keep());
    this.results = new Results((row) => KINDS.probabilities.said(row));
    listen((files) => queue(files, (file) => this.try(file)));
    camera(
      (picture) => this.present(picture, "camera").catch((error) => show(error.message, [], true)),
      (error) => show(error.message, [], true),
    );
  }

  /** What was learned is of other classes or examples than there are now. */
  stale() {
    if (!this.taught) return;
    at("lesson").textContent = "The classes have changed: teach again to count that in.";
  }

  /** Why nothing can be learned yet; "" where it can. */
  missing(cards) {
    const names = cards.map(({ name }) => name);
    if (cards.length < 2) return "Two classes at least are needed.";
    if (names.some((name) => !name)) return "Each class needs a name.";
    const twice = names.find((name, place) => names.indexOf(name) < place);
    if (twice !== undefined) return `Two classes are called ${twice}: give each a name of its own.`;
    const empty = cards.find(({ examples }) => !examples.length);
    return empty ? `${empty.name} has no examples yet.` : "";
  }

  async teach(told) {
    const { cards } = this.classes;
    const reason = this.missing(cards);
    at("lesson").className = reason ? "verdict bad" : "verdict waiting";
    at("lesson").textContent = reason || "Learning ...";
    at("lesson").hidden = false;
    if (reason) return;
    const began = performance.now();
    const all = cards.flatMap(({ examples }, label) => examples.map((one) => ({ ...one, label })));
    const truth = all.map(({ label }) => label);
    const contents = all.map(({ content }) => content);
    const least = fewest(contents, truth, cards.length);
    const parts = least >= 2 ? folds(contents, truth) : null;
    const features = all.map((one) => one.features);
    let head;
    try {
      head = await learn({ features, truth, labels: cards.length, folds: parts }, told);
    } catch (error) {
      at("lesson").className = "verdict bad";
      at("lesson").textContent = `✗ Nothing was learned: ${error.message}`;
      return;
    }
    const labels = cards.map(({ name }) => name);
    const examples = Object.fromEntries(cards.map((card) => [card.name, card.examples.length]));
    this.taught = new Taught(this.network, labels, head, examples);
    this.proved = cards.flatMap((card) => card.examples.slice(0, PROVED).map(({ picture }) => picture));
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    this.measured(labels, truth, head, least, seconds);
    const both = new Set(
      contents.filter((one, place) => contents.some((other, at_) => other === one && truth[at_] !== truth[place])),
    );
    if (both.size)
      at("lesson").textContent +=
        ` Note: ${both.size === 1 ? "one picture is" : `${both.size} pictures are`} in two classes.`;
    at("try").hidden = false;
    at("file").hidden = false;
    at("proof").hidden = true;
    at("proof").textContent = "";
    document.documentElement.dataset.taught = String(Number(document.documentElement.dataset.taught ?? 0) + 1);
  }

  /** What the examples that were left out say. */
  measured(labels, truth, { left, held }, least, seconds) {
    const number = labels.length;
    const count = labels.map(() => ({ left: 0, right: 0, taken: labels.map(() => 0) }));
    left.forEach((row, i) => {
      const own = held.subarray(i * number, (i + 1) * number);
      const best = own.indexOf(Math.max(...own));
      const one = count[truth[row]];
      one.left += 1;
      one.right += Number(best === truth[row]);
      one.taken[best] += 1;
    });
    const right = count.reduce((sum, one) => sum + one.right, 0);
    const words = left.length
      ? `${percent(right / left.length)} of examples that were left out of learning are named right: ${right} of ${left.length}.`
      : "There are too few examples to measure: two different ones of each class are needed.";
    const few =
      left.length && least < FOLDS ? ` With fewer than ${FOLDS} different examples of a class that is a guess.` : "";
    at("lesson").className = left.length && !few ? "verdict good" : "verdict waiting";
    at("lesson").textContent = `Taught in ${seconds} s. ${words}${few}`;
    at("figures-box").hidden = !left.length;
    at("figures").tBodies[0].replaceChildren(
      ...count.map((one, label) => {
        const others = one.taken.map((times, place) => ({ times, place })).filter(({ place }) => place !== label);
        const most = others.sort((a, b) => b.times - a.times)[0];
        const mistaken = most?.times ? `${labels[most.place]} (${most.times})` : "none";
        const cells = [truth.filter((own) => own === label).length, one.left, one.right];
        return element("tr", {}, [
          element("th", { scope: "row", text: labels[label] }),
          ...cells.map((value) => element("td", { class: "number", text: String(value) })),
          element("td", { text: mistaken }),
        ]);
      }),
    );
  }

  async try(file) {
    const name = nameOf(file);
    if (!this.taught) {
      said("Teach first; then pictures are answered here.");
      return;
    }
    try {
      this.results.add({ file: name, ...(await this.present(await this.network.read(file), name)) });
    } catch (error) {
      show(`${name}: ${error.message}`, [], true);
      this.results.add({ file: name, error: error.message });
    }
  }

  /** Answer a picture and show the answer. */
  async present(picture, name) {
    const began = performance.now();
    const row = await this.taught.row(picture);
    const words = `${name}, answered in ${Math.round(performance.now() - began)} ms`;
    show(KINDS.probabilities.said(row), [
      element("div", {}, [figure(canvasOf(picture), words)]),
      element("div", {}, [bars(row.top)]),
    ]);
    return row;
  }

  /** Make the file, prove it, and let the visitor keep it. */
  async keep() {
    at("keep").disabled = true;
    const state = (kind, words) => {
      at("proof").className = `verdict ${kind}`;
      at("proof").textContent = words;
      at("proof").hidden = false;
    };
    try {
      state("waiting", "Making the file, loading it again and comparing its answers with the page's ...");
      const { taught, proved } = this;
      const file = await taught.file();
      const apart = await taught.apart(file, proved);
      const good = apart <= TOLERANCE;
      const difference = `greatest difference ${apart.toExponential(1)}, allowed ${TOLERANCE.toExponential(0)}`;
      if (good) {
        state(
          "good",
          `✓ Proved: loaded again, the file answers ${proved.length} pictures as this page does (${difference}).`,
        );
        save(new Blob([file], { type: "application/octet-stream" }), "taught.onnx");
      } else state("bad", `✗ The file is not given out: it answers otherwise than this page (${difference}).`);
      document.documentElement.dataset.proof = good ? "good" : "bad";
    } catch (error) {
      state("bad", `✗ The file could not be made: ${error.message}`);
    }
    at("keep").disabled = false;
  }
}

start().catch((error) => {
  verdict("bad", `✗ The page cannot learn: ${error.message}`);
  document.documentElement.dataset.proof = "failed";
});
