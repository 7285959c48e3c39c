// Answers in a thread of its own, so that the page can be used meanwhile. Takes {id, load} or {id, inputs, wanted},
// gives {id, outputs, ms}, {id, progress} or {id, error}.
let ort = null;
let session = null;

/** Load the runtime that computes with "wasm" or "webgpu". */
async function runtime(engine) {
  ort = await import(`../runtime/ort.${engine}.min.mjs`);
  ort.env.wasm.wasmPaths = new URL("../runtime/", import.meta.url).href;
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(8, navigator.hardwareConcurrency || 1) : 1;
  ort.env.logLevel = "error";
}

/** The bytes of an address, with what has come of them told: the bytes, and all (0 where the server does not say). */
async function fetched(address, told) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${new URL(address).pathname} is missing (${response.status})`);
  const total = Number(response.headers.get("Content-Length")) || 0;
  const parts = [];
  let here = 0;
  for (const reader = response.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    here += value.length;
    told(here, total);
  }
  const all = new Uint8Array(here);
  let place = 0;
  for (const part of parts) {
    all.set(part, place);
    place += part.length;
  }
  return all;
}

/** The SHA-256 of bytes, hexadecimal; null where the page has no secure context, in which browsers do not compute it. */
async function sha256(bytes) {
  if (!self.crypto?.subtle) return null;
  const digest = new Uint8Array(await self.crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function load(id, { address, digest, engine, optimise }) {
  const told = (here, total) => self.postMessage({ id, progress: [here, total] });
  const given = address instanceof Uint8Array ? address : fetched(address, told);
  const [bytes] = await Promise.all([given, runtime(engine)]);
  const found = digest && (await sha256(bytes));
  session = await ort.InferenceSession.create(bytes, {
    executionProviders: [engine],
    graphOptimizationLevel: optimise ? "all" : "disabled",
    logSeverityLevel: 3,
  });
  return {
    changed: Boolean(found && found !== digest),
    threads: ort.env.wasm.numThreads,
    inputs: session.inputNames,
    outputs: session.outputNames,
  };
}

async function answer(inputs, wanted) {
  const names = session.inputNames;
  const feeds = {};
  inputs.forEach(({ type, data, dims }, place) => {
    feeds[names[place]] = new ort.Tensor(type, data, dims);
  });
  const began = performance.now();
  const found = await session.run(feeds, wanted);
  const ms = performance.now() - began;
  const outputs = {};
  for (const name of wanted) outputs[name] = { data: found[name].data.slice(), dims: [...found[name].dims] };
  for (const tensor of [...Object.values(feeds), ...Object.values(found)]) tensor.dispose();
  return { outputs, ms };
}

let turn = Promise.resolve(); // a session answers one question at a time

self.onmessage = ({ data }) => {
  turn = turn.then(() => settle(data));
};

async function settle({ id, load: asked, inputs, wanted }) {
  try {
    const result = asked ? await load(id, asked) : await answer(inputs, wanted);
    self.postMessage(
      { id, result },
      Object.values(result.outputs && wanted ? result.outputs : {}).map(({ data }) => data.buffer),
    );
  } catch (error) {
    self.postMessage({ id, error: String(error?.message || error) });
  }
}
