// Examples from a camera or a microphone while a button is held.
import { element } from "../elements.js";

let current = null; // turns off the card that has the device

/**
 * The device in a class's card. Only one card has it at a time.
 * @param {HTMLElement} box where it is shown. @param {HTMLElement} toggle the button that turns it on and off.
 * @param {{hold: string, view: HTMLElement, open: () => Promise<void>, close: () => void, begin: () => void, end: () =>
 *   void, once: () => void}} source what the button says; what is shown of the device; begins to use it and ends that;
 *   begins to take examples and ends that; takes one.
 * @param {(error: Error) => void} failed
 * @returns {() => void} what turns it off.
 */
export function capture(box, toggle, source, failed) {
  const hold = element("button", { type: "button", class: "first", text: source.hold, disabled: true });
  let [ready, held] = [false, false];
  const end = () => {
    if (held) source.end();
    held = false;
  };
  const begin = () => {
    if (held || !ready) return;
    held = true;
    source.begin();
  };
  const off = () => {
    end();
    source.close();
    ready = false;
    box.hidden = true;
    hold.disabled = true;
    toggle.setAttribute("aria-pressed", "false");
    if (current === off) current = null;
  };
  hold.addEventListener("pointerdown", begin);
  for (const event of ["pointerup", "pointerleave", "pointercancel", "blur"]) hold.addEventListener(event, end);
  hold.addEventListener("keydown", (event) => {
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    begin();
  });
  hold.addEventListener("keyup", end);
  hold.addEventListener("click", ({ detail }) => {
    if (detail === 0 && !held && ready) source.once(); // pressed by a screen reader
  });
  box.append(source.view, element("div", { class: "buttons" }, [hold]));
  toggle.addEventListener("click", async () => {
    if (ready) {
      off();
      return;
    }
    current?.();
    current = off;
    toggle.disabled = true; // people are asked whether they allow it
    try {
      await source.open();
      if (current !== off) {
        source.close(); // another card has it by now
        return;
      }
      ready = true;
      box.hidden = false;
      toggle.setAttribute("aria-pressed", "true");
      hold.disabled = false;
      hold.focus();
    } catch (error) {
      off();
      failed(error);
    } finally {
      toggle.disabled = false;
    }
  });
  return off;
}
