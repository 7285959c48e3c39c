// The graphics processor, where the browser lets pages compute with it, it agrees, and it is quicker.
import { Asker } from "./asker.js";
import { compared } from "./proof.js";
import { idle } from "./work.js";

/**
 * Whether a device answers as it should, and quicker than another.
 * @param {{apart: number, ms: number}[]} found of the stored examples, the last ones no longer its first of their kind.
 * @param {number} tolerance what each may be apart.
 * @param {number} ms that the other takes for the last one.
 */
export function better(found, tolerance, ms) {
  return found.length > 0 && found.every(({ apart }) => apart <= tolerance) && found.at(-1).ms < ms;
}

/**
 * Let the graphics processor answer for a model from now on, where it does so better than the CPU.
 * @param {object} model as `Model`, proved on the CPU. @param {Function} raw as of `compared`.
 * @returns {Promise<boolean>} whether it does.
 */
export async function tryGraphicsProcessor(model, raw) {
  const { facts, asker } = model;
  if (!facts.webgpu || !(await navigator.gpu?.requestAdapter())) return false;
  const other = new Asker(asker.model, asker.digest, "webgpu");
  const trial = Object.assign(Object.create(Object.getPrototypeOf(model)), model, { asker: other });
  try {
    let before = Infinity;
    for await (const { ms } of compared(model, raw)) before = ms;
    const found = [];
    for await (const row of compared(trial, raw)) {
      if (!(row.apart <= facts.tolerance)) break;
      found.push(row);
    }
    if (found.length === facts.examples.length && better(found, facts.tolerance, before)) {
      await idle(); // what the CPU has begun it ends
      model.asker = other;
      asker.cancel();
      return true;
    }
  } catch {
    // It cannot compute this model: the CPU goes on.
  }
  other.cancel();
  return false;
}
