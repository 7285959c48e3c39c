/** Sound from the microphone, and out of the loudspeaker. */

/** Samples a recording may hold: an hour at 48 kHz. */
const MOST_SAMPLES = 3_600 * 48_000;

/** Milliseconds that the last block is waited for. */
const PATIENCE = 1_000;

/** A microphone that cannot be used; the message is a sentence that says why and what to do. */
export class NoMicrophone extends Error {}

/** What browsers call it, and what it means. */
const REASONS = {
  NotAllowedError: "The microphone is not allowed on this page: allow it beside the address, and try again.",
  NotFoundError: "There is no microphone: connect one, or open a file.",
  NotReadableError: "The microphone is in use by something else: close that, and try again.",
  AbortError: "The microphone did not start: try again, or open a file.",
};

/** Begin to record.
 *
 * @param {{onBlock: ?function(Float32Array), onEnd: ?function(), keep: boolean}} options called with each block of 2,048
 *   samples, mono, -1..1, as soon as it is there; called once where the microphone is gone before `stop`; whether `stop`
 *   is to give them.
 * @returns {Promise<{rate: number, context: AudioContext, stop: function(): Promise<Float32Array>}>} Hz of the samples;
 *   `stop` gives all of them (the first hour at most) and releases the microphone, the second time the same ones.
 * @throws {NoMicrophone} no permission, no microphone, or a page that is not served over HTTPS or from this machine.
 */
export async function start({ onBlock = null, onEnd = null, keep = true } = {}) {
  if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) {
    const needed = "a page that is served over HTTPS or from localhost";
    throw new NoMicrophone(`The microphone needs ${needed}: open a file instead.`);
  }
  let stream;
  try {
    // What is meant for calls changes what a model hears.
    const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 };
    stream = await navigator.mediaDevices.getUserMedia({ audio: plain });
  } catch (error) {
    const other = `The microphone cannot be used (${error.name}): open a file instead.`;
    throw new NoMicrophone(REASONS[error.name] ?? other);
  }
  const release = () => stream.getTracks().forEach((track) => track.stop());
  const context = new AudioContext();
  try {
    await context.audioWorklet.addModule(new URL("./recorder_worklet.js", import.meta.url));
    await context.resume();
  } catch (error) {
    release();
    await context.close();
    throw error;
  }
  const node = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 });
  const source = context.createMediaStreamSource(stream);
  const blocks = [];
  let [held, finish] = [0, null];
  const finished = new Promise((resolve) => {
    finish = resolve;
  });
  node.port.onmessage = ({ data: { block, last } }) => {
    if (block.length) {
      if (keep && held < MOST_SAMPLES) blocks.push(block);
      held += block.length;
      onBlock?.(block);
    }
    if (last) finish();
  };
  let stopped = null;
  const stop = async () => {
    node.port.postMessage("stop");
    await Promise.race([finished, new Promise((resolve) => setTimeout(resolve, PATIENCE))]);
    source.disconnect();
    release();
    await context.close();
    return joined(blocks);
  };
  stream.getAudioTracks()[0].addEventListener("ended", () => onEnd?.());
  source.connect(node);
  return { rate: context.sampleRate, context, stop: () => (stopped ??= stop()) };
}

/** Play a sound.
 *
 * @param {Float32Array} samples mono, -1..1, one or more.
 * @param {number} rate Hz.
 * @param {{from: number, to: ?number}} options seconds.
 * @returns {Promise<{ended: Promise<void>, stop: function()}>} `ended` is settled when it is over or stopped.
 */
export async function play(samples, rate, { from = 0, to = null } = {}) {
  const context = new AudioContext();
  const buffer = context.createBuffer(1, samples.length, rate);
  buffer.copyToChannel(samples, 0);
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(context.destination);
  const ended = new Promise((resolve) => {
    source.onended = resolve;
  }).then(() => context.close());
  await context.resume();
  source.start(0, from, to === null ? undefined : to - from);
  return { ended, stop: () => source.stop() };
}

/** Blocks one after the other. @param {Float32Array[]} blocks @returns {Float32Array} */
export function joined(blocks) {
  const all = new Float32Array(blocks.reduce((sum, block) => sum + block.length, 0));
  let at = 0;
  for (const block of blocks) {
    all.set(block, at);
    at += block.length;
  }
  return all;
}
