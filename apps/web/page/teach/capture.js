// Pictures from the camera while a button is held.
import { frame, opened } from "../camera.js";
import { element } from "../elements.js";

const EVERY_MS = 200;

/**
 * The camera in a class's card. Only one card has it at a time.
 * @param {HTMLElement} box where it is shown. @param {HTMLElement} toggle the button that turns it on and off.
 * @param {string} name of the class, for people. @param {(picture: object) => void} given called with each picture.
 * @param {(error: Error) => void} failed
 */
export function capture(box, toggle, name, given, failed) {
  const video = element("video", { playsinline: true, "aria-label": `Camera for ${name()}` });
  video.muted = true;
  const hold = element("button", { type: "button", class: "first", text: "Hold to take pictures", disabled: true });
  let stream = null;
  let timer = null;
  const end = () => {
    clearInterval(timer);
    timer = null;
  };
  const begin = () => {
    if (timer || !stream) return;
    given(frame(video));
    timer = setInterval(() => given(frame(video)), EVERY_MS);
  };
  const off = () => {
    end();
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
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
    if (detail === 0 && !timer && stream) given(frame(video)); // pressed by a screen reader
  });
  box.append(video, element("div", { class: "buttons" }, [hold]));
  toggle.addEventListener("click", async () => {
    if (stream) {
      off();
      return;
    }
    current?.();
    try {
      stream = await opened();
      current = off;
      box.hidden = false;
      toggle.setAttribute("aria-pressed", "true");
      video.srcObject = stream;
      await video.play();
      hold.disabled = false;
      hold.focus();
    } catch (error) {
      off();
      failed(error);
    }
  });
  return off;
}

let current = null;
