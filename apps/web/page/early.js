// What a page begins before the rest of its program is there: reading what it is told of its model, and loading that.
import { Asker } from "./asker.js";

async function told() {
  const response = await fetch("model/model.json");
  if (!response.ok) throw new Error(`model/model.json is missing (${response.status})`);
  return response.json();
}

async function loading() {
  const { file, optimise } = await facts;
  const begun = new Asker(file.name, file.sha256, "wasm", optimise);
  begun.ready().catch(() => {}); // whoever asks it is told
  return begun;
}

/** What `model/model.json` says; rejected where that is missing. */
export const facts = told();

/** The model in its worker, an `Asker`; rejected as `facts`. */
export const asker = loading();
asker.catch(() => {}); // the page says so
