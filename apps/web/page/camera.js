// The camera: its frames as pictures, one after the other, as fast as they are answered.
import { at } from "./elements.js";
import { pixelsOf } from "./picture/pixels.js";

const LONGEST_PX = 640;

/**
 * A button that turns the camera on and off.
 * @param {(frame: {data: Uint8Array, width: number, height: number}) => Promise<void>} answer called with a frame, and
 *   with the next one when it is done.
 * @param {(error: Error) => void} failed in one line.
 */
export function camera(answer, failed) {
  const video = at("video");
  let stream = null;
  const off = () => {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    video.srcObject = null;
    at("camera-box").hidden = true;
    at("camera").setAttribute("aria-pressed", "false");
    at("camera").textContent = "Camera";
  };
  const on = async () => {
    at("camera").disabled = true; // people are asked whether they allow it
    try {
      stream = await opened();
    } finally {
      at("camera").disabled = false;
    }
    at("camera").setAttribute("aria-pressed", "true");
    at("camera").textContent = "Stop the camera";
    at("camera-box").hidden = false;
    video.srcObject = stream;
    await video.play();
    while (stream) {
      await answer(frame(video));
      await new Promise(requestAnimationFrame);
    }
  };
  at("camera").addEventListener("click", () => {
    if (stream) {
      off();
      return;
    }
    on().catch((error) => {
      off();
      failed(error);
    });
  });
  return off;
}

/**
 * Begin to use the camera.
 * @returns {Promise<MediaStream>}
 * @throws {Error} there is none, or it may not be used, in one line.
 */
export async function opened() {
  if (!navigator.mediaDevices)
    throw new Error("the browser gives the camera only to pages on https:// or on localhost");
  const constraints = { video: { facingMode: "environment", width: { ideal: LONGEST_PX } } };
  try {
    return await navigator.mediaDevices.getUserMedia(constraints);
  } catch (error) {
    throw new Error(
      error.name === "NotFoundError" ? "no camera was found" : "the browser was not allowed to use the camera",
      { cause: error },
    );
  }
}

/** What a playing video shows now, {data, width, height}, its longer side 640 px at most. */
export function frame(video) {
  const share = Math.min(1, LONGEST_PX / Math.max(video.videoWidth, video.videoHeight));
  const [width, height] = [video.videoWidth, video.videoHeight].map((side) => Math.max(1, Math.round(side * share)));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(video, 0, 0, width, height);
  return pixelsOf(context);
}
