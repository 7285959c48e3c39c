// A pad to draw a digit on: mouse, finger or pen; by keyboard a pen that the arrows move and that draws while Space is held.
import { at } from "./elements.js";
import { pixelsOf } from "./picture/pixels.js";

const PEN_PX = 18;
const STEP_PX = 8;

/** @param {(picture: {data: Uint8Array, width: number, height: number}) => void} drawn called after each stroke. */
export function pad(drawn) {
  const canvas = at("pad");
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const pen = { x: canvas.width / 2, y: canvas.height / 4, down: false };
  let soon = 0;

  const clear = () => {
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
  };
  const to = (x, y, draws) => {
    if (draws) {
      context.lineWidth = PEN_PX;
      context.lineCap = context.lineJoin = "round";
      context.strokeStyle = "#111";
      context.beginPath();
      context.moveTo(pen.x, pen.y);
      context.lineTo(x, y);
      context.stroke();
    }
    [pen.x, pen.y] = [x, y];
  };
  const tell = () => {
    clearTimeout(soon);
    soon = setTimeout(() => drawn(pixelsOf(context)), 30);
  };
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) * canvas.width) / box.width,
      ((event.clientY - box.top) * canvas.height) / box.height,
    ];
  };

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pen.down = true;
    const [x, y] = place(event);
    [pen.x, pen.y] = [x, y];
    to(x, y + 0.1, true);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (pen.down) to(...place(event), true);
  });
  canvas.addEventListener("pointerup", () => {
    pen.down = false;
    tell();
  });
  let held = false;
  canvas.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === " ") held = true;
    else if (moves) {
      const limited = (value, side) => Math.min(Math.max(value, 0), side);
      to(limited(pen.x + moves[0] * STEP_PX, canvas.width), limited(pen.y + moves[1] * STEP_PX, canvas.height), held);
      if (held) tell();
    } else return;
    event.preventDefault();
  });
  canvas.addEventListener("keyup", (event) => {
    if (event.key === " ") held = false;
  });
  at("pad-clear").addEventListener("click", clear);
  at("draw").addEventListener("click", () => {
    const open = at("pad-box").hidden;
    at("pad-box").hidden = !open;
    at("draw").setAttribute("aria-expanded", String(open));
    if (open) canvas.focus();
  });
  clear();
}
