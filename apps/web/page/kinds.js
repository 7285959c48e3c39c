// What an answer is, by its kind: the row that is said of a file, and how far two answers are apart. The rows are those
// of `predict --json`.

const ROWS = 5; // labels that a row names

/** Places of scores, the highest first; of equal ones the first. */
function ranked(scores) {
  return Array.from(scores.keys()).sort((a, b) => scores[b] - scores[a] || a - b);
}

function greatest(found, wanted) {
  let most = 0;
  for (let place = 0; place < wanted.length; place++) {
    const apart = Math.abs(found[place] - wanted[place]);
    if (!(apart <= most)) most = apart; // NaN counts
  }
  return found.length === wanted.length ? most : Infinity;
}

const probabilities = {
  row(scores, facts) {
    const named = (place) => ({ label: facts.labels[place], score: scores[place] });
    const best = ranked(scores);
    const top = best.slice(0, ROWS).map(named);
    const thresholds = facts.details.thresholds;
    if (!thresholds) return { ...top[0], top };
    return { labels: best.filter((place) => scores[place] >= thresholds[place]).map(named), top };
  },
  said(row) {
    if (!row.labels) return `${row.label}, ${percent(row.score)}`;
    return row.labels.map(({ label }) => label).join(", ") || "none of the labels";
  },
  difference: greatest,
};

const quantity = {
  row: (values, facts) => ({ target: facts.labels[0], value: values[0] }),
  said: (row) => `${row.target}: ${row.value.toPrecision(4)}`,
  difference: greatest,
};

const picture = {
  row: (_, __, dims) => ({ size: [dims[2], dims[1]] }),
  said: (row) => `${row.size[0]} x ${row.size[1]} px`,
  /** Of 255, beyond the half that rounding of the stored one may take; `wanted` is RGB in 0..255. */
  difference(found, wanted) {
    const clipped = Float32Array.from(found, (value) => Math.min(Math.max(value, 0), 255));
    return Math.max(greatest(clipped, wanted) - 0.5, 0);
  },
};

/** By name: {row(values, facts, dims), said(row), difference(found, wanted)}. */
export const KINDS = { probabilities, quantity, picture };

/** 0.98765 as "98.8 %". */
export function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}
