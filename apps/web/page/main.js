// The page: what it knows of its model, the proof, and what the visitor gives it.
import { asker, facts } from "./early.js";
import { at, element } from "./elements.js";
import { tryGraphicsProcessor } from "./gpu.js";
import { Model } from "./model.js";
import { prove, verdict } from "./proof.js";
import { Results } from "./results.js";
import { listen } from "./sources.js";
import { each } from "./work.js";

async function start() {
  if (typeof WebAssembly !== "object") throw new Error("this browser has no WebAssembly, which the page computes with");
  const model = new Model(await facts, await asker);
  const loading = model.ready((here, all) => {
    verdict("waiting", `Loading the model: ${(here / 1e6).toFixed(1)}${all ? ` of ${(all / 1e6).toFixed(1)}` : ""} MB`);
  });
  const results = new Results((row) => model.kind.said(row));
  const { pageOf } = await import(model.facts.input.kind === "sound" ? "./sounds_page.js" : "./pictures_page.js");
  const page = pageOf(model, results);
  const known = await loading;
  const answerAll = (files) => each(files, page.one, () => model.cancel());
  listen(answerAll);
  page.start();
  offer(model.facts.examples, answerAll);
  document.documentElement.dataset.ready = "yes";
  if (!(await prove(model, page.raw, known))) return;
  const graphics = await tryGraphicsProcessor(model, page.raw);
  document.documentElement.dataset.engine = graphics ? "webgpu" : "wasm";
  if (graphics) {
    at("verdict").textContent +=
      " The graphics processor answers as the CPU does, and quicker: it computes from now on.";
  }
}

/** The stored examples as buttons. */
function offer(examples, answerAll) {
  at("examples").replaceChildren(
    ...examples.map(({ file }, place) => {
      const sound = file.endsWith(".wav");
      const inside = sound
        ? element("span", { text: `Sound ${place + 1}` })
        : element("img", { src: file, alt: `Example ${place + 1}`, loading: "lazy" });
      const give = async () => {
        const blob = await (await fetch(file)).blob();
        answerAll([new File([blob], file.split("/").pop(), { type: blob.type })]);
      };
      return element("li", {}, [element("button", { type: "button", click: give }, [inside])]);
    }),
  );
  at("examples-box").hidden = false;
}

start().catch((error) => {
  verdict("bad", `✗ The page cannot answer: ${error.message}`);
  document.documentElement.dataset.proof = "failed";
});
