// The proof: stored examples, answered on this device, beside what they were answered when the page was made.
import { Cancelled } from "./asker.js";
import { at, element } from "./elements.js";
import { idle } from "./work.js";
import { decode } from "./picture/decoding.js";

/** A difference for people. */
const shown = (number, picture) => (picture ? `${number.toFixed(2)} of 255` : number.toExponential(1));

async function blobOf(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address} is missing (${response.status})`);
  return response.blob();
}

/**
 * Answer the stored examples, one after the other.
 * @param {object} model as `Model`. @param {(blob: Blob) => Promise<{data, dims}>} raw reads a file as a raw input.
 * @yields {{file: string, said: string, apart: number, ms: number}} how far the answer is from the stored one; infinity
 *   where there is none, and `said` is why.
 */
export async function* compared(model, raw) {
  const { facts, kind } = model;
  const waiting = [...facts.examples];
  while (waiting.length) {
    await idle(); // what the visitor gives comes first
    const { file, answer } = waiting.shift();
    try {
      const { data, dims } = await raw(await blobOf(file));
      const found = await model.answer(data, dims, false, null); // as they were answered
      const wanted = facts.kind === "picture" ? (await decode(await blobOf(answer))).data : answer;
      const apart = kind.difference(found.values, wanted);
      yield { file, said: kind.said(kind.row(found.values, facts, found.dims)), apart, ms: found.ms };
    } catch (error) {
      if (error instanceof Cancelled) {
        waiting.unshift({ file, answer }); // the visitor stopped what came between
        continue;
      }
      yield { file, said: error.message, apart: Infinity, ms: 0 };
    }
  }
}

/**
 * Answer all stored examples and show how far they are from the stored answers.
 * @param {object} model, @param {Function} raw as of `compared`.
 * @param {{changed: boolean}} known of the loaded model.
 * @returns {Promise<boolean>} whether all are as close as they should be.
 */
export async function prove(model, raw, known) {
  const { examples, tolerance, kind } = model.facts;
  const words = (apart) => (apart === Infinity ? "no answer" : shown(apart, kind === "picture"));
  const began = performance.now();
  const rows = [];
  for await (const row of compared(model, raw)) {
    rows.push(row);
    verdict("waiting", `Checking stored example ${rows.length} of ${examples.length} on this device ...`);
  }
  const fails = ({ apart }) => !(apart <= tolerance);
  show(rows.map((row) => [row.file, row.said, words(row.apart), fails(row)]));
  const wrong = rows.filter(fails).length;
  const good = wrong === 0 && !known.changed && rows.length > 0;
  const worst = Math.max(...rows.map(({ apart }) => apart));
  const difference = `greatest difference ${words(worst)}, allowed ${words(tolerance)}`;
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const warning = "✗ Do not rely on these answers:";
  if (good) {
    const all = `${rows.length} of ${rows.length} stored examples are answered as when this page was made`;
    verdict("good", `✓ Proved on this device: ${all} (${difference}; ${seconds} s).`);
  } else if (known.changed) verdict("bad", `${warning} the model's file is not the one that this page was made with.`);
  else {
    const some = `${wrong} of ${rows.length} stored examples are answered otherwise on this device`;
    verdict("bad", `${warning} ${some} (${difference}).`);
  }
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
