// The proof: stored examples, answered on this device, beside what they were answered when the page was made.
import { at, element } from "./elements.js";
import { decode } from "./picture/decoding.js";

/** A difference for people. */
const shown = (number, picture) => (picture ? `${number.toFixed(2)} of 255` : number.toExponential(1));

async function blobOf(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address} is missing (${response.status})`);
  return response.blob();
}

/**
 * Answer all stored examples and show how far they are from the stored answers.
 * @param {object} model as `Model`. @param {(blob: Blob) => Promise<{data, dims}>} raw reads a file as a raw input.
 * @param {{changed: boolean, threads: number}} known of the loaded model.
 * @returns {Promise<boolean>} whether all are as close as they should be.
 */
export async function prove(model, raw, known) {
  const { facts, kind } = model;
  const made = facts.kind === "picture";
  const began = performance.now();
  const rows = [];
  let worst = 0;
  for (const [place, { file, answer }] of facts.examples.entries()) {
    verdict("waiting", `Checking stored example ${place + 1} of ${facts.examples.length} on this device ...`);
    try {
      const { data, dims } = await raw(await blobOf(file));
      const found = await model.answer(data, dims);
      const wanted = made ? (await decode(await blobOf(answer))).data : answer;
      const apart = kind.difference(found.values, wanted);
      worst = apart > worst || Number.isNaN(apart) ? apart : worst;
      rows.push([
        file,
        kind.said(kind.row(found.values, facts, found.dims)),
        shown(apart, made),
        !(apart <= facts.tolerance),
      ]);
    } catch (error) {
      worst = Infinity;
      rows.push([file, error.message, "no answer", true]);
    }
  }
  show(rows);
  const good = worst <= facts.tolerance && !known.changed && rows.length > 0;
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const difference = `greatest difference ${shown(worst, made)}, allowed ${shown(facts.tolerance, made)}`;
  const wrong = rows.filter((row) => row[3]).length;
  if (good)
    verdict(
      "good",
      `✓ Proved on this device: ${rows.length} of ${rows.length} stored examples are answered as when this page was made (${difference}; ${seconds} s).`,
    );
  else if (known.changed)
    verdict("bad", "✗ Do not rely on these answers: the model's file is not the one that this page was made with.");
  else
    verdict(
      "bad",
      `✗ Do not rely on these answers: ${wrong} of ${rows.length} stored examples are answered otherwise on this device (${difference}).`,
    );
  document.documentElement.dataset.proof = good ? "good" : "bad";
  return good;
}

/** Show the verdict: "waiting", "good" or "bad", with its words. */
export function verdict(state, words) {
  at("verdict").className = `verdict ${state}`;
  at("verdict").textContent = words;
}

function show(rows) {
  at("proof-table").tBodies[0].replaceChildren(
    ...rows.map(([file, said, apart, bad]) =>
      element("tr", { class: bad ? "bad" : null }, [
        element("td", { text: file }),
        element("td", { text: said }),
        element("td", { class: "number", text: apart }),
      ]),
    ),
  );
  at("proof-details").hidden = false;
}
