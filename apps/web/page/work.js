// One file after the other, with progress, time left and a way to stop.
import { Cancelled } from "./asker.js";
import { at, clock } from "./elements.js";

const PAUSE_MS = 30; // in which a file that was just given begins to be read

let busy = Promise.resolve();
let stopped = false;

/** Settled when nothing that the visitor gave is under way, and the browser has had time for new events. */
export async function idle() {
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  await busy;
}

/**
 * Do things one after the other, behind those that are under way.
 * @param {object[]} things
 * @param {(thing: object, told: (share: number) => void) => Promise<void>} one does one of them and tells what share of
 *   it is done, 0..1.
 * @param {() => void} cancel ends what is under way.
 */
export function each(things, one, cancel) {
  busy = busy.then(async () => {
    stopped = false;
    const began = performance.now();
    const told = (done) => {
      const share = done / things.length;
      const seconds = (performance.now() - began) / 1000;
      at("bar").value = share;
      const left = share > 0 && seconds > 1 ? `, about ${clock((seconds * (1 - share)) / share)} left` : "";
      at("bar-words").textContent = `${Math.min(Math.floor(done) + 1, things.length)} of ${things.length}${left}`;
    };
    const visible = setTimeout(() => {
      at("work").hidden = false;
    }, 300);
    at("cancel").onclick = () => {
      stopped = true;
      cancel();
    };
    for (const [place, thing] of things.entries()) {
      if (stopped) break;
      told(place);
      try {
        await one(thing, (share) => told(place + share));
      } catch (error) {
        if (!(error instanceof Cancelled)) console.error(error); // the next one is done all the same
      }
    }
    clearTimeout(visible);
    at("work").hidden = true;
  });
  return busy;
}
