// The page that learns: classes, teaching, trying, and the file.
import { at, element, save } from "../elements.js";
import { KINDS, percent } from "../kinds.js";
import { verdict } from "../proof.js";
import { Results } from "../results.js";
import { listen, nameOf, sorted } from "../sources.js";
import { show } from "../views.js";
import { each } from "../work.js";
import { Classes, PROVED } from "./classes.js";
import { FOLDS, fewest, folds } from "./folds.js";
import { Network } from "./network.js";
import { TOLERANCE, Taught, learn } from "./taught.js";

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
  const medium = await mediumOf(network);
  verdict("good", `✓ Ready. Give each class some ${medium.words.many}; nothing of what you give leaves this device.`);
  new Page(medium);
  document.documentElement.dataset.ready = "yes";
}

/** What examples are. */
async function mediumOf(network) {
  if (network.facts.input.kind === "sound") return new (await import("./sounds.js")).Sounds(network);
  return new (await import("./pictures.js")).Pictures(network);
}

class Page {
  constructor(medium) {
    this.medium = medium;
    this.taught = null;
    const queue = (things, one) => each(things, one, () => {});
    const heard = { changed: () => this.stale(), told: said };
    this.classes = new Classes(at("classes"), medium, queue, heard);
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
    medium.live(
      (example, name, scores) => this.present(example, name, scores),
      (features) => this.taught.scores(features),
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
    const all = cards.flatMap(({ examples }, label) =>
      examples.flatMap(({ rows, content }) => rows.map((features) => ({ features, content, label }))),
    );
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
    this.taught = new Taught(this.medium, labels, head, examples);
    this.proved = cards.flatMap(({ examples: own }) => own.flatMap(({ again }) => again ?? []).slice(0, PROVED));
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    this.measured(labels, truth, head, least, seconds);
    const twice = inTwo(contents, truth);
    if (twice)
      at("lesson").textContent +=
        ` Note: ${twice === 1 ? `one ${this.medium.words.single} is` : `${twice} ${this.medium.words.many} are`} in two classes.`;
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
      ? `${percent(right / left.length)} of ${this.medium.words.counted} that were left out of learning are named right: ${right} of ${left.length}.`
      : "There are too few examples to measure: two different ones of each class are needed.";
    const few =
      left.length && least < FOLDS ? ` With fewer than ${FOLDS} different examples of a class that is a guess.` : "";
    at("lesson").className = left.length && !few ? "verdict good" : "verdict waiting";
    at("lesson").textContent = `Taught in ${seconds} s. ${words}${few}`;
    at("figures-box").hidden = !left.length;
    at("figures-note").textContent =
      left.length === truth.length
        ? "A fifth of each class is left out in turn, equal ones together; what is learned from the rest names it."
        : "A fifth of each class was left out, equal ones together; what was learned from the rest named it.";
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
      said(`Teach first; then ${this.medium.words.many} are answered here.`);
      return;
    }
    try {
      this.results.add({ file: name, ...(await this.present(await this.medium.read(file), name)) });
    } catch (error) {
      show(`${name}: ${error.message}`, [], true);
      this.results.add({ file: name, error: error.message });
    }
  }

  /** Answer an example and show the answer. @param {?Float64Array} scores where they are known. */
  async present(example, name, scores = null) {
    if (!this.taught) throw new Error("is not answered: teach first");
    const began = performance.now();
    const row = scores ? this.taught.rowOf(scores) : await this.taught.row(example);
    const words = scores ? name : `${name}, answered in ${Math.round(performance.now() - began)} ms`;
    this.medium.present(example, KINDS.probabilities.said(row), row.top, words);
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
      if (!proved.length) throw new Error("no example is left to try it on; add some and teach again");
      const file = await taught.file();
      const apart = await taught.apart(file, proved);
      const good = apart <= TOLERANCE;
      const difference = `greatest difference ${apart.toExponential(1)}, allowed ${TOLERANCE.toExponential(0)}`;
      if (good) {
        state(
          "good",
          `✓ Proved: loaded again, the file answers ${proved.length} ${this.medium.words.many} as this page does (${difference}).`,
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

/** How many contents have more than one label. */
function inTwo(contents, truth) {
  const first = new Map();
  const twice = new Set();
  contents.forEach((content, place) => {
    if (!first.has(content)) first.set(content, truth[place]);
    else if (first.get(content) !== truth[place]) twice.add(content);
  });
  return twice.size;
}

start().catch((error) => {
  verdict("bad", `✗ The page cannot learn: ${error.message}`);
  document.documentElement.dataset.proof = "failed";
});
