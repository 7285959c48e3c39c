// Which examples are left out together: by content, so that equal ones are on one side.

export const FOLDS = 5;

/**
 * 64 bits that tell contents apart, hexadecimal (FNV-1a of Fowler, Noll and Vo, with two starts).
 * @param {ArrayBufferView} content
 */
export function digest(content) {
  const bytes = new Uint8Array(content.buffer, content.byteOffset, content.byteLength);
  let [one, other] = [0x811c9dc5, 0x5bd1e995];
  for (const byte of bytes) {
    one = Math.imul(one ^ byte, 0x01000193);
    other = Math.imul(other ^ byte, 0x85ebca6b) ^ (other >>> 13);
  }
  return [one, other].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}

/**
 * The fold of each example: of each label's different contents a fifth in each, equal contents in one.
 * @param {string[]} contents digests. @param {number[]} truth labels.
 * @returns {number[]} 0..FOLDS - 1, the same for the same contents in whatever order.
 */
export function folds(contents, truth) {
  const found = new Map();
  const labels = [...new Set(truth)].sort((a, b) => a - b);
  for (const label of labels) {
    const own = [...new Set(contents.filter((_, place) => truth[place] === label))].sort();
    let next = 0;
    for (const content of own) if (!found.has(content)) found.set(content, next++ % FOLDS);
  }
  return contents.map((content) => found.get(content));
}

/**
 * Whether enough is there to measure: two different contents of each label at least.
 * @param {string[]} contents @param {number[]} truth @param {number} labels
 * @returns {number} of the label with the fewest: how many different ones it has.
 */
export function fewest(contents, truth, labels) {
  const sets = Array.from({ length: labels }, () => new Set());
  contents.forEach((content, place) => sets[truth[place]].add(content));
  return Math.min(...sets.map((set) => set.size));
}
