// A classifier's ONNX file, made of the file that gives its features: protocol buffers, read and written by hand.
//
// Numbers of fields are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.

const GRAPH = 7; // of a model
const METADATA = 14;
const NODE = 1; // of a graph
const INITIALIZER = 5;
const OUTPUT = 12;
const [FLOAT, INT] = [1, 2]; // of attributes
const FLOAT_TENSOR = 1; // data type
const NAME = "convmedia"; // of the description
const HEAD = ["head_weights", "head_bias"]; // initializers (d, k) and (k)
const text = new TextEncoder();

/**
 * A file that answers probabilities: softmax(features x weights + bias). Where the file has a head of its own, with the
 * names of `HEAD`, it is replaced, and what comes behind it stays; else one is put behind the features.
 * @param {Uint8Array} file ONNX, with an output of features, float32 (batch, d).
 * @param {{features: string, weights: Float32Array, bias: Float32Array, description: object}} head name of that
 *   output; weights (d, k), row by row; bias (k); what the file says of itself, whose "labels" are k names.
 * @returns {Uint8Array} a file with the same input and one output, `output_0`, float32 (batch, k).
 * @throws {Error} the file is no ONNX file, or the numbers do not fit.
 */
export function withHead(file, { features, weights, bias, description }) {
  const labels = description.labels.length;
  if (!labels || bias.length !== labels || weights.length % labels || !weights.length) {
    throw new Error(`${weights.length} weights and ${bias.length} offsets are no head of ${labels} labels`);
  }
  const parts = [];
  let graphs = 0;
  for (const { number, whole, content } of fields(file)) {
    if (number === GRAPH) {
      graphs += 1;
      parts.push(graphWithHead(content, { features, weights, bias, labels }));
    } else if (number !== METADATA || nameOf(content, 1) !== NAME) parts.push(whole);
  }
  if (graphs !== 1) throw new Error("the file of features is no ONNX file");
  parts.push(message(METADATA, [string(1, NAME), string(2, JSON.stringify(description))]));
  return joined(parts);
}

function graphWithHead(graph, { features, weights, bias, labels }) {
  const size = weights.length / labels;
  const head = [tensor(HEAD[0], [size, labels], weights), tensor(HEAD[1], [labels], bias)];
  const kept = [];
  let open = false;
  for (const { number, whole, content } of fields(graph)) {
    const own = number === INITIALIZER && HEAD.includes(nameOf(content, 8));
    open ||= own;
    if (number !== OUTPUT && !own) kept.push(whole);
  }
  const behind = [
    node("Gemm", [features, ...HEAD], "head_scores"),
    node("Softmax", ["head_scores"], "output_0", [attribute("axis", 1)]),
  ];
  return message(GRAPH, [
    ...kept,
    ...(open ? [] : behind),
    ...head,
    message(OUTPUT, [string(1, "output_0"), message(2, [message(1, [whole(1, FLOAT), shape(labels)])])]),
  ]);
}

const node = (operator, inputs, output, attributes = []) =>
  message(NODE, [
    ...inputs.map((name) => string(1, name)),
    string(2, output),
    string(3, output),
    string(4, operator),
    ...attributes,
  ]);

const attribute = (name, value) => message(5, [string(1, name), whole(3, value), whole(20, INT)]);

/** Of a batch of any size. */
const shape = (labels) => message(2, [message(1, [string(2, "batch")]), message(1, [whole(1, labels)])]);

function tensor(name, sizes, values) {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  values.forEach((value, place) => view.setFloat32(4 * place, value, true));
  return message(INITIALIZER, [
    ...sizes.map((size) => whole(1, size)),
    whole(2, FLOAT_TENSOR),
    string(8, name),
    field(9, bytes),
  ]);
}

/** A message's text in a field; "" where it has none. */
function nameOf(entry, field) {
  for (const { number, content } of fields(entry)) if (number === field) return new TextDecoder().decode(content);
  return "";
}

/**
 * The fields of a message in order.
 * @param {Uint8Array} bytes
 * @yields {{number: number, whole: Uint8Array, content: Uint8Array}} content of what has a length, else empty; whole
 *   with its key.
 * @throws {Error} no such message.
 */
export function* fields(bytes) {
  let place = 0;
  const varint = () => {
    let [value, factor] = [0, 1];
    for (;;) {
      if (place >= bytes.length) throw new Error("a field ends beyond the file");
      const byte = bytes[place++];
      value += (byte & 127) * factor;
      factor *= 128;
      if (byte < 128) return value;
    }
  };
  while (place < bytes.length) {
    const start = place;
    const key = varint();
    const kind = key % 8;
    let from = place;
    if (kind === 0) varint();
    else if (kind === 1) place += 8;
    else if (kind === 5) place += 4;
    else if (kind === 2) {
      const size = varint();
      from = place;
      place += size;
    } else throw new Error(`a field of wire type ${kind}`);
    if (place > bytes.length) throw new Error("a field ends beyond the file");
    const content = kind === 2 ? bytes.subarray(from, place) : bytes.subarray(0, 0);
    yield { number: Math.floor(key / 8), whole: bytes.subarray(start, place), content };
  }
}

const message = (number, parts) => field(number, joined(parts));
const string = (number, value) => field(number, text.encode(value));
const whole = (number, value) => joined([varint(number * 8), varint(value)]);

function field(number, content) {
  return joined([varint(number * 8 + 2), varint(content.length), content]);
}

function varint(value) {
  const bytes = [];
  let left = value;
  for (; left > 127; left = Math.floor(left / 128)) bytes.push((left % 128) + 128);
  return Uint8Array.of(...bytes, left);
}

function joined(parts) {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let place = 0;
  for (const part of parts) {
    all.set(part, place);
    place += part.length;
  }
  return all;
}
